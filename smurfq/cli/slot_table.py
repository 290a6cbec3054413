"""Formats the live table of slots: a line for each slot, with details of the run, the hold and the lock below it."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Group
from rich.text import Text

from smurfq.cli.slot_rows import Row
from smurfq.cli.terminal_text import clean
from smurfq.client.waiting import short
from smurfq.core.duration import duration
from smurfq.core.slot import both_names

MIN_WIDTH = 60
_SLOT, _OPERATION, _FOR, _LEFT, _WAIT = 13, 16, 13, 13, 5
_BOTH_NAMES, _WIDE = 24, 96  # of the column SLOT, and the width from which it has both names
_INDENT = "  "
_IDLE_STYLE = {"failed": "red", "aborted": "yellow", "lost": "magenta"}


def table(rows: Iterable[Row], width: int, title: str = "") -> Group:
    """Return the rows as lines of at most ``width`` characters."""
    width = max(width, MIN_WIDTH)
    wide = width >= _WIDE
    slot_width = _BOTH_NAMES if wide else _SLOT
    rest = width - slot_width - _OPERATION - _FOR - _LEFT - _WAIT
    head = _columns((slot_width, rest), "SLOT", "OPERATION", "STAGE", "FOR", "LEFT", "WAIT")
    lines = [Text(title, "bold yellow")] if title else []
    lines.append(Text(head, "bold"))
    for row in rows:
        lines.append(_line(row, (slot_width, rest), wide=wide))
        lines += [_cut(line, width) for line in _more(row, named=wide)]
    return Group(*lines)


def plain_line(row: Row) -> str:
    """Return a row as one line, for a log."""
    said = [both_names(row.slot, row.stream_id), _now(row)]
    if _stage(row):
        said.append(_stage(row))
    if row.waiting:
        said.append(f"{row.waiting} waiting")
    return " | ".join([*said, *(line.plain.strip() for line in _more(row, named=True))])


def _line(row: Row, widths: tuple[int, int], *, wide: bool) -> Text:
    slot_width, rest = widths
    name = both_names(row.slot, row.stream_id) if wide else row.slot
    elapsed = duration(row.elapsed_s) if row.elapsed_s is not None else ""
    left = "" if row.left_s is None else f"~{duration(row.left_s)}" if row.left_s > 0 else "late"
    waiting = str(row.waiting or "")
    if row.operation:
        text = _columns(widths, name, _now(row), _stage(row), elapsed, left, waiting)
    else:  # no times to show: the outcome of the last run may use their columns
        stage = "  ".join([_stage(row), *(() if wide else _other_name(row))]).strip()
        cells = [(name, slot_width), (_now(row), _OPERATION), (stage, rest + _FOR + _LEFT)]
        text = ("".join(_fit(cell, width) for cell, width in cells) + waiting).rstrip()
    if not row.alive:
        return Text(text, "red")
    return Text(text, "" if row.operation else _IDLE_STYLE.get(row.last_outcome or "", "dim"))


def _columns(widths: tuple[int, int], slot: str, operation: str, stage: str, elapsed: str, left: str, wait: str) -> str:
    slot_width, rest = widths
    cells = [(slot, slot_width), (operation, _OPERATION), (stage, rest), (elapsed, _FOR), (left, _LEFT)]
    return ("".join(_fit(text, width) for text, width in cells) + wait[:_WAIT]).rstrip()


def _fit(text: str, width: int) -> str:
    """Fit ``text`` into a cell of ``width`` characters, the last of which is a space."""
    text = " ".join(clean(text).split())
    return (text if len(text) < width else f"{text[: width - 2]}…").ljust(width)


def _now(row: Row) -> str:
    return row.operation or ("idle" if row.alive else "no worker")


def _stage(row: Row) -> str:
    if not row.operation:
        return f"last: {row.last_operation} {row.last_outcome}" if row.last_operation else ""
    if row.status != "running":
        return row.status or ""
    return f"{row.stage_number}/{row.stages} {row.stage}" if row.stage_number else row.stage or ""


def _other_name(row: Row) -> list[str]:
    """Return the stream id, unless it is the place."""
    return [row.stream_id] if row.stream_id != row.slot else []


def _more(row: Row, *, named: bool) -> list[Text]:
    """Return the lines below a row. If it is not ``named`` by its stream id, they are."""
    lines = []
    if row.operation:
        said = [*(() if named else _other_name(row)), short(row.session_id or "")]
        if row.workflow:
            said.append(f"{row.workflow} {short(row.workflow_id or '')}" + (f" step {row.step}" if row.step else ""))
        if row.message:
            said.append(row.message)
        lines.append(Text(_INDENT + " · ".join(" ".join(clean(part).split()) for part in said), "dim"))
    held = [Text(_INDENT + " ".join(clean(one).split()), "yellow") for one in (row.hold, row.lock) if one]
    return lines + held


def _cut(line: Text, width: int) -> Text:
    line.truncate(width, overflow="ellipsis")
    return line
