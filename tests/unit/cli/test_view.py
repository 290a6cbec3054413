"""The live view of a run: the lines for updates, and the last line in a terminal."""

from __future__ import annotations

import io
from collections.abc import Iterable

from rich.console import Console

from smurfq.cli.view import View
from smurfq.client import (
    DataUpdate,
    DoneUpdate,
    FileUpdate,
    LogUpdate,
    MessageUpdate,
    QueueUpdate,
    RecordUpdate,
    StageUpdate,
    StatusUpdate,
    StoreUpdate,
)
from smurfq.core.session import SessionRecord


def _view(*, output: bool = False) -> View:
    return View(SessionRecord("3f2a91c0", op_name="take_iv", slot="crate1slot2", simulated=True), output=output)


def _lines(view: View, updates: Iterable[RecordUpdate]) -> list[str]:
    return [line.plain for update in updates for line in view.take(update)]


def _last_line(view: View) -> str:
    written = io.StringIO()
    Console(file=written, width=200).print(view.last_line())
    return written.getvalue()


def test_each_thing_that_happens_is_a_line() -> None:
    updates = [
        QueueUpdate(0.0, "next in the queue", 1),
        StatusUpdate(1.0, "running", {"status": "running", "start_time": 1.0}),
        StageUpdate(2.0, "noise"),
        MessageUpdate(3.0, "hello [bold]you"),
        DataUpdate(4.0, {"a": 1, "b": 2}, []),
        DataUpdate(5.0, {"a": 2}, []),
        FileUpdate(6.0, {"path": "/data/x.npy"}),
        StoreUpdate(7.0, True, "Redis does not answer"),
    ]
    lines = [line[10:] for line in _lines(_view(), updates)]
    assert lines == [
        "next in the queue",
        "running",
        "stage noise",
        "hello [bold]you",
        "data a, b",
        "file /data/x.npy",
        "Redis does not answer",
    ]


def test_output_is_shown_by_whole_lines_and_only_when_asked_for() -> None:
    updates = [LogUpdate(1.0, "one\ntw"), LogUpdate(2.0, "o\nthree"), DoneUpdate(3.0, SessionRecord("3f2a91c0"))]
    assert _lines(_view(output=True), updates) == ["one", "two", "three"]
    assert _lines(_view(), updates) == []


def test_a_degraded_run_is_reported_once() -> None:
    view = _view()
    update = StatusUpdate(1.0, "", {"degraded": True})
    assert len(_lines(view, [update, update])) == 1
    assert "degraded" in _last_line(view)


def test_the_last_line_tells_where_the_run_stands() -> None:
    view = _view()
    view.record.submit_time = 0.0
    _lines(view, [QueueUpdate(0.0, "held by ann", 1)])
    assert "queued" in _last_line(view)
    assert "held by ann" in _last_line(view)
    _lines(
        view,
        [
            StatusUpdate(1.0, "running", {"status": "running"}),
            StageUpdate(2.0, "noise"),
            DataUpdate(4.0, {f"key{n}": n for n in range(9)}, []),
            DataUpdate(4.0, {}, ["key0"]),
        ],
    )
    last = _last_line(view)
    for told in ("take_iv", "crate1slot2", "running", "noise", "key1", "and 2 more"):
        assert told in last
    assert "held by ann" not in last
    assert "key0" not in last


def test_the_past_of_a_run_that_continues_is_reported_too() -> None:
    view = View(SessionRecord("3f2a91c0", op_name="take_iv", status="running", degraded=True), output=False)
    updates = [StatusUpdate(1.0, "running", {"status": "running"}), StatusUpdate(1.0, "", {"degraded": True})]
    assert [line[10:18] for line in _lines(view, updates)] == ["running", "degraded"]


def test_a_simulated_slot_is_said_to_be_one() -> None:
    assert "SIMULATED" in _view().title().plain
