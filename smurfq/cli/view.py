"""The live view of a run: its updates line by line and, in a terminal, a last line with its current state."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TextIO

from rich.console import Console, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from smurfq.cli.exit_codes import ExitCode, of_record
from smurfq.cli.options import echo_json
from smurfq.cli.render import final_lines, terminal
from smurfq.cli.terminal_text import clean, tell
from smurfq.client import (
    DataUpdate,
    DoneUpdate,
    FileUpdate,
    LogUpdate,
    MessageUpdate,
    QueueUpdate,
    RecordUpdate,
    Run,
    StageUpdate,
    StatusUpdate,
    StoreUpdate,
)
from smurfq.client.waiting import short
from smurfq.core import stages
from smurfq.core.duration import duration
from smurfq.core.session import SessionHeader, SessionRecord
from smurfq.operations import WORKFLOW

_KEYS_SHOWN = 6


def follow_to_end(
    run: Run,
    *,
    as_json: bool = False,
    output: bool = False,
    data: bool = True,
    timeout_s: float | None = None,
    stream: TextIO | None = None,
) -> ExitCode:
    """Show a run until it has ended, and return the exit code of its outcome.

    With ``as_json``, each update is a line of JSON. With ``output``, the operation's stdout and stderr are shown too.
    If ``data`` is true, the session data follows at the end. Ctrl-C ends the view, not the run, and says so.

    Raises
    ------
    WaitTimeoutError
        The run did not end within ``timeout_s``.
    """
    try:
        if as_json:
            return of_record(_json_lines(run.follow(timeout_s)))
        console = terminal(stream)
        return of_record(watch(run, console, output=output, data=data, timeout_s=timeout_s))
    except KeyboardInterrupt:
        cut = short(run.id)
        tell(
            f"\nNo longer following; {cut} continues. `smurfq follow {cut}` shows it again, "
            f"`smurfq abort {cut}` ends it.",
            err=True,
        )
        return ExitCode.INTERRUPTED


def watch(
    run: Run, console: Console, *, output: bool = False, data: bool = True, timeout_s: float | None = None
) -> SessionRecord:
    """Show a run on ``console`` until it has ended, its session data too if ``data`` is true. Return its record."""
    view = View(run.header(), output=output)
    final: SessionRecord | None = None
    console.print(view.title())
    if not console.is_terminal:
        for update in run.follow(timeout_s):
            for line in view.take(update):
                console.print(line)
            final = update.record if isinstance(update, DoneUpdate) else None
    else:
        with Live(get_renderable=view.last_line, console=console, refresh_per_second=8, transient=True):
            for update in run.follow(timeout_s):
                for line in view.take(update):
                    console.print(line)
                final = update.record if isinstance(update, DoneUpdate) else None
    assert final is not None, "a follower ends with DoneUpdate or raises"
    for line in final_lines(final, data=data):
        console.print(line)
    return final


class View:
    """Turns the updates of a run into lines of text, and describes its current state."""

    def __init__(self, record: SessionHeader, *, output: bool) -> None:
        # The updates are replayed from the start of the run, so the view starts with the first status.
        self.record = replace(record, status="queued", degraded=False)
        self._output = output
        self._stage: str | None = None
        self._waits_for = ""
        self._keys: dict[str, None] = {}
        self._unfinished = ""
        self._spinner = Spinner("dots")

    def title(self) -> Text:
        """Return the first line: the operation, its slot and the id."""
        record = self.record
        if record.op_name == WORKFLOW.name:
            what = Text.assemble("workflow ", (clean(str(record.params.get("workflow"))), "bold"))
        else:
            what = Text.assemble((record.op_name, "bold"), " on ", (record.where, "bold"))
        text = what + Text(f"  {record.session_id}", "dim")
        if record.simulated:
            text.append("  SIMULATED SLOT", "bold yellow")
        return text

    def take(self, update: RecordUpdate) -> Iterator[Text]:
        """Yield the lines to print for an update."""
        match update:
            case QueueUpdate():
                self._waits_for = update.text
                yield _line(update.time, update.text, "yellow")
            case StatusUpdate():
                yield from self._take_status(update)
            case MessageUpdate():
                yield _line(update.time, update.text)
            case StageUpdate():
                self._stage = stages.words(self.record.op_name, update.name)
                yield _line(update.time, f"stage {self._stage}", "cyan")
            case DataUpdate():
                yield from self._take_data(update)
            case FileUpdate():
                yield _line(update.time, f"file {update.file.get('path', update.file)}", "green")
            case LogUpdate() if self._output:
                yield from self._take_output(update.text)
            case StoreUpdate():
                yield _line(update.time, update.text, "red" if update.away else "green")
            case DoneUpdate():
                if self._unfinished:
                    yield Text(clean(self._unfinished), "dim")
                self.record = update.record

    def last_line(self) -> RenderableType:
        """Return the current state of the run, as the terminal's last line."""
        record = self.record
        parts = [(record.op_name, "bold"), (f" {record.where}", ""), (f"  {record.status}", "cyan")]
        if self._stage:
            parts.append((f"  {clean(self._stage)}", "magenta"))
        began = record.start_time or record.submit_time
        if began is not None:
            parts.append((f"  {duration(time.time() - began)}", ""))
        if record.status == "queued" and self._waits_for:
            parts.append((f"  {self._waits_for}", "yellow"))
        if self._keys:
            parts.append((f"  data: {_listed(self._keys)}", "dim"))
        if record.degraded:
            parts.append(("  degraded", "red"))
        line = Table.grid(padding=(0, 1))
        line.add_row(self._spinner, Text.assemble(*parts, overflow="ellipsis", no_wrap=True))
        return line

    def _take_status(self, update: StatusUpdate) -> Iterator[Text]:
        before, was_degraded, was_simulated = self.record.status, self.record.degraded, self.record.simulated
        for name in ("status", "start_time", "degraded", "simulated"):
            if name in update.fields:
                setattr(self.record, name, update.fields[name])
        if update.status and update.status != before:
            yield _line(update.time, update.status, "cyan")
        if self.record.simulated and not was_simulated:
            yield _line(update.time, "SIMULATED SLOT", "bold yellow")
        if self.record.degraded and not was_degraded:
            yield _line(update.time, "degraded: something is wrong, but the run continues", "red")

    def _take_data(self, update: DataUpdate) -> Iterator[Text]:
        new = [key for key in update.values if key not in self._keys]
        self._keys.update(dict.fromkeys(update.values))
        for key in update.removed:
            self._keys.pop(key, None)
        if new and self.record.op_name != WORKFLOW.name:  # a workflow's data are its steps, which are shown as stages
            yield _line(update.time, f"data {_listed(dict.fromkeys(new))}", "blue")

    def _take_output(self, text: str) -> Iterator[Text]:
        *lines, self._unfinished = (self._unfinished + text).split("\n")
        for line in lines:
            yield Text(clean(line), "dim")


def _json_lines(updates: Iterator[RecordUpdate]) -> SessionRecord:
    for update in updates:
        echo_json(update.to_dict())
        if isinstance(update, DoneUpdate):
            return update.record
    raise AssertionError("a follower ends with DoneUpdate or raises")


def _line(at: float, text: str, style: str = "") -> Text:
    return Text.assemble((time.strftime("%H:%M:%S  ", time.localtime(at)), "dim"), (clean(text), style))


def _listed(keys: dict[str, None]) -> str:
    names = [clean(key) for key in keys]
    more = f" and {len(names) - _KEYS_SHOWN} more" if len(names) > _KEYS_SHOWN else ""
    return ", ".join(names[:_KEYS_SHOWN]) + more
