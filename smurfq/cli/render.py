"""Formats records, slots and queues for people to read."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from smurfq.cli.terminal_text import clean
from smurfq.client import RunStatus, SlotStatus
from smurfq.client.waiting import plain_name, short
from smurfq.core import stages
from smurfq.core.card_after import turn_off_hint
from smurfq.core.duration import duration
from smurfq.core.message_headers import OWNER
from smurfq.core.priorities import priority_name
from smurfq.core.session import SessionHeader, SessionRecord
from smurfq.core.slot import both_names
from smurfq.store.queues import Waiting

_DATA_CHARS = 4_000
_CARD = "make_safe"  # the session data that describes the card after the run
_LOG_LINES = 10
_MESSAGES_SHOWN = 50
_WIDE = 10_000  # characters in a line if the output is not a terminal
OUTCOME_STYLE = {"succeeded": "bold green", "failed": "bold red", "aborted": "bold yellow", "lost": "bold magenta"}


def terminal(file: TextIO | None = None) -> Console:
    """Return a console that never wraps lines of text, and wraps tables only if the terminal is too narrow."""
    seen = (file or sys.stdout).isatty()
    return Console(file=file, highlight=False, markup=False, emoji=False, soft_wrap=True, width=None if seen else _WIDE)


def moment(at: float | None) -> str:
    """Format a time in the time zone of this machine. The date is omitted if it is today's."""
    if at is None:
        return "-"
    shown, today = time.localtime(at), time.localtime()
    return time.strftime("%H:%M:%S" if shown[:3] == today[:3] else "%Y-%m-%d %H:%M:%S", shown)


def outcome(record: SessionHeader) -> Text:
    """Return the outcome of a run, or its status if it has not ended."""
    if record.outcome:
        return Text(record.outcome, OUTCOME_STYLE.get(record.outcome, ""))
    return Text(record.status, "cyan")


def took(record: SessionHeader) -> str:
    """Return the duration of a run, until now if it has not ended."""
    if record.start_time is None:
        return "-"
    return duration((record.end_time or time.time()) - record.start_time)


def error_text(record: SessionHeader) -> str:
    """Return the error of a run, or an empty string if it has none."""
    if not record.error:
        return ""
    return clean(f"{record.error.get('type', 'error')}: {record.error.get('message', '')}")


def final_lines(record: SessionRecord, *, data: bool = True) -> Iterator[Text]:
    """Yield the lines that summarize a run which has ended: its outcome, its error, and its data if ``data`` is set."""
    text = Text.assemble(outcome(record), f" in {took(record)}" if record.start_time else "")
    if record.lost:
        text.append(f", {record.lost} messages of the publisher were lost", "red")
    if record.complete is False:
        text.append(f", {_incomplete(record)}", "red")
    yield text
    if record.error:
        yield Text(error_text(record), "red")
        cut = short(record.session_id)
        yield Text(f"`smurfq show {cut}` shows the record, `smurfq logs {cut}` the output", "dim")
    elif data and record.data:
        yield Text(f"data = {data_text(record)}")
    if not record.error and (found := record.data.get(_CARD)) and not found.get("safe", True):
        told = str(found.get("text"))
        hint = turn_off_hint(record.slot, told)
        yield Text(clean(f"the card: {told}" + (f"; {hint}" if hint else "")), "bold yellow")


def data_text(record: SessionRecord) -> str:
    """Return the session data as JSON, truncated if it is long, with only the result of the check of the card."""
    data = dict(record.data)
    if isinstance(card := data.get(_CARD), dict):
        data[_CARD] = {name: card[name] for name in ("safe", "text") if name in card} or card
    text = clean(json.dumps(data, indent=2))
    if len(text) <= _DATA_CHARS:
        return text
    cut = short(record.session_id)
    return f"{text[:_DATA_CHARS]}\n… ({len(text)} characters; `smurfq show {cut} --json` has all)"


def show_record(console: Console, record: SessionRecord) -> None:
    """Print a whole record."""
    console.print(
        Text.assemble((clean(record.op_name), "bold"), " on ", (clean(record.where), "bold"), "  ", outcome(record))
    )
    for name, value in _facts(record):
        console.print(Text.assemble((f"{name:<12}", "dim"), clean(value)))
    _print_lines(console, "stages", (f"{moment(at)}  {name}" for name, at in record.stages))
    hidden = record.messages_total - len(record.messages[-_MESSAGES_SHOWN:])
    heading = f"messages (the newest of {record.messages_total})" if hidden > 0 else "messages"
    _print_lines(console, heading, (f"{moment(at)}  {text}" for at, text in record.messages[-_MESSAGES_SHOWN:]))
    _print_lines(console, "files", map(_file_line, record.files))
    if record.data:
        _print_lines(console, "data", data_text(record).splitlines())
    _print_lines(console, "log (last lines)", record.log.splitlines()[-_LOG_LINES:])


def show_status(console: Console, status: SlotStatus) -> None:
    """Print what a slot is doing."""
    alive = Text("worker alive", "green") if status.alive else Text("no worker", "bold red")
    console.print(Text.assemble((both_names(status.slot, status.stream_id), "bold"), "  ", alive, _worker_text(status)))
    if status.hold:
        console.print(Text(f"  {clean(str(status.hold))}", "yellow"))
    if status.lock:
        console.print(Text(f"  {clean(str(status.lock))}", "yellow"))
    if status.left_on:
        console.print(Text(f"  {clean(str(status.left_on))}", "bold red"))
        if hint := turn_off_hint(status.slot, status.left_on.text):
            console.print(Text(f"    {hint}", "dim"))
    for alarm in status.alarms:
        console.print(Text(clean(f"  ALARM: {alarm}, since {moment(alarm.since)}"), "bold red"))
    if (file := status.g3_file) is not None and file.data.get("record") is None:
        told = f"  the last g3 file is of no run: {file.data.get('path')}, closed at {moment(file.timestamp)}"
        console.print(Text(clean(told), "yellow"))
    for run in status.running:
        console.print(_running_text(run))
    if not status.running:
        console.print(Text("  no operation is running", "dim"))
    if status.waiting:
        first = ", ".join(map(_waiting_text, status.waiting[:3]))
        more = f" and {len(status.waiting) - 3} more" if len(status.waiting) > 3 else ""
        console.print(f"  waiting: {first}{more}")
    if status.last:
        last = status.last
        console.print(
            Text.assemble(
                f"  last: {clean(last.op_name)} {short(last.session_id)} ",
                outcome(last),
                f" at {moment(last.end_time)}, took {took(last)}",
            )
        )


def history_table(records: Iterable[SessionHeader]) -> Table:
    """Return a table with one row for each record. If the terminal is too narrow, long errors are wrapped."""
    table = Table("id", "submitted", "slot", "operation", "outcome", "took", "error", box=None, pad_edge=False)
    for record in records:
        table.add_row(
            short(record.session_id),
            moment(record.submit_time),
            record.where,
            clean(record.op_name),
            outcome(record),
            took(record),
            Text(" ".join(error_text(record).split()), "red"),
        )
    return table


def queue_table(waiting: Iterable[Waiting]) -> Table:
    """Return a table of the waiting runs, in the order in which they will start."""
    table = Table("", "id", "queue", "operation", "priority", "by", "parameters", box=None, pad_edge=False)
    for place, item in enumerate(waiting, 1):
        given = {name: value for name, value in item.kwargs.items() if name != "slot" and value is not None}
        table.add_row(
            str(place),
            short(item.task_id),
            item.queue,
            clean(plain_name(item.op_name)),
            priority_name(item.priority),
            Text(clean(item.headers.get(OWNER) or "-")),
            Text(clean(json.dumps(given)) if given else "", overflow="ellipsis", no_wrap=True),
        )
    return table


def _waiting_text(item: Waiting) -> str:
    name = priority_name(item.priority)
    return clean(f"{plain_name(item.op_name)} {short(item.task_id)}" + (f" ({name})" if name != "normal" else ""))


def _incomplete(record: SessionRecord) -> str:
    if record.unrecorded:
        return f"{record.unrecorded} messages reached the bridge and are not in this record"
    return "the bridge did not confirm that all messages arrived"


def _facts(record: SessionRecord) -> Iterator[tuple[str, str]]:
    yield "id", record.session_id
    yield "submitted", moment(record.submit_time)
    yield "started", moment(record.start_time)
    yield "ended", moment(record.end_time)
    yield "took", took(record)
    if record.submitted_by:
        yield "by", record.submitted_by
    if record.params:
        yield "parameters", json.dumps(record.params)
    if record.error:
        yield "error", error_text(record)
    if record.lost:
        yield "lost", f"{record.lost} messages of the publisher"
    if record.complete is False:
        yield "incomplete", _incomplete(record)
    if record.degraded:
        yield "degraded", "yes"
    if record.simulated:
        yield "simulated", "yes: not a real card"
    if record.tunefile:
        yield "tune file", record.tunefile
    if record.log_file:
        yield "log file", record.log_file
    if record.worker:
        yield "worker", ", ".join(f"{name} {value}" for name, value in record.worker.items())
    if record.software:
        yield "software", ", ".join(f"{name} {value}" for name, value in record.software.items())
    if record.parent_id:
        yield "after", record.parent_id


def _file_line(file: Mapping[str, Any]) -> str:
    reason = file.get("not_registered")
    return str(file.get("path", file)) + (f"  NOT in the archive: {reason}" if reason else "")


def _print_lines(console: Console, heading: str, lines: Iterable[str]) -> None:
    shown = [clean(line) for line in lines]
    if not shown:
        return
    console.print(Text(heading, "bold"))
    for line in shown:
        console.print(Text(f"  {line}"))


def _worker_text(status: SlotStatus) -> str:
    about = status.workers[0].about
    parts = [f"{name} {about[name]}" for name in ("host", "pid") if name in about]
    since = about.get("since") or about.get("started")
    if isinstance(since, int | float):
        parts.append(f"since {moment(since)}")
    if about.get("simulated"):
        parts.append("SIMULATED SLOT")
    text = f"  ({', '.join(parts)})" if parts and status.alive else ""
    return clean(text if status.workers[1].alive else f"{text}  no state worker")


def _running_text(run: RunStatus) -> Text:
    record = run.record
    text = Text.assemble(
        "  runs: ", (clean(record.op_name), "bold"), f" {short(record.session_id)} ", (record.status, "cyan")
    )
    if run.elapsed_s is not None:
        text.append(f" since {duration(run.elapsed_s)}")
    if run.stage:
        text.append(f", stage {clean(stages.words(record.op_name, run.stage))}", "magenta")
    if run.message:
        text.append(f", {clean(run.message)!r}", "dim")
    if record.degraded:
        text.append(", degraded", "red")
    return text
