"""Formats the live table of slots: a line for each slot, with details of the run, the hold and the lock below it."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Group
from rich.text import Text

from smurfq.cli.slot_rows import Row
from smurfq.cli.terminal_text import clean
from smurfq.client.waiting import short
from smurfq.core.duration import duration

MIN_WIDTH = 60
_SLOT, _OPERATION, _FOR, _LEFT, _WAIT = 13, 16, 13, 13, 5
_INDENT = "  "
_IDLE_STYLE = {"failed": "red", "aborted": "yellow", "lost": "magenta"}


def table(rows: Iterable[Row], width: int, title: str = "") -> Group:
    """Return the rows as lines of at most ``width`` characters."""
    width = max(width, MIN_WIDTH)
    rest = width - _SLOT - _OPERATION - _FOR - _LEFT - _WAIT
    head = _columns(rest, "SLOT", "OPERATION", "STAGE", "FOR", "LEFT", "WAIT")
    lines = [Text(title, "bold yellow")] if title else []
    lines.append(Text(head, "bold"))
    for row in rows:
        lines.append(_line(row, rest))
        lines += [_cut(line, width) for line in _more(row)]
    return Group(*lines)


def plain_line(row: Row) -> str:
    """Return a row as one line, for a log."""
    said = [row.slot, _now(row)]
    if _stage(row):
        said.append(_stage(row))
    if row.waiting:
        said.append(f"{row.waiting} waiting")
    return " | ".join([*said, *(line.plain.strip() for line in _more(row))])


def _line(row: Row, rest: int) -> Text:
    elapsed = duration(row.elapsed_s) if row.elapsed_s is not None else ""
    left = "" if row.left_s is None else f"~{duration(row.left_s)}" if row.left_s > 0 else "late"
    waiting = str(row.waiting or "")
    if row.operation:
        text = _columns(rest, row.slot, _now(row), _stage(row), elapsed, left, waiting)
    else:  # no times to show: the outcome of the last run may use their columns
        cells = [(row.slot, _SLOT), (_now(row), _OPERATION), (_stage(row), rest + _FOR + _LEFT)]
        text = ("".join(_fit(cell, width) for cell, width in cells) + waiting).rstrip()
    if not row.alive:
        return Text(text, "red")
    return Text(text, "" if row.operation else _IDLE_STYLE.get(row.last_outcome or "", "dim"))


def _columns(rest: int, slot: str, operation: str, stage: str, elapsed: str, left: str, wait: str) -> str:
    cells = [(slot, _SLOT), (operation, _OPERATION), (stage, rest), (elapsed, _FOR), (left, _LEFT)]
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


def _more(row: Row) -> list[Text]:
    lines = []
    if row.operation:
        said = [short(row.session_id or "")]
        if row.workflow:
            said.append(f"{row.workflow} {short(row.workflow_id or '')}" + (f" step {row.step}" if row.step else ""))
        if row.message:
            said.append(row.message)
        lines.append(Text(_INDENT + " · ".join(" ".join(clean(part).split()) for part in said), "dim"))
    held = [
        Text(_INDENT + " ".join(clean(one.removeprefix(f"{row.slot} is ")).split()), "yellow")
        for one in (row.hold, row.lock)
        if one
    ]
    return lines + held


def _cut(line: Text, width: int) -> Text:
    line.truncate(width, overflow="ellipsis")
    return line
