"""Clients and Flower get the true state of a run, from its submission to its end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from celery.events.state import State

from smurfq.app import app
from smurfq.client import Slot
from smurfq.client.connection import Connection
from smurfq.client.updates import DoneUpdate, StatusUpdate
from smurfq.config import load
from tests.integration.test_client_live import PUBLISHING
from tests.site.eventually import WITHIN_S, eventually
from tests.site.live import LiveSite

SLOT = "crate1slot2"
SIMULATED = "crate1slot3"
UNTIL_TOLD = """
import time
number = 2
while not os.path.exists(sys.argv[1]):
    publish(number, "session_log", f"line {number}")
    number += 1
    time.sleep(0.2)
"""


def test_only_a_worker_says_whether_a_run_is_simulated(site: LiveSite) -> None:
    assert not app.settings.simulated, "the producer knows nothing of a simulation"
    slot = Slot(SIMULATED, connection=Connection(load(site.environ)))
    run = slot.submit("test")
    assert (run.header().status, run.header().simulated) == ("queued", None)
    assert run.record().simulated is None
    worker = site.start_worker(SIMULATED, SMURFQ_SIMULATED="true")
    try:
        said: list[Any] = []
        for update in run.follow(timeout=WITHIN_S):
            if isinstance(update, StatusUpdate) and "simulated" in update.fields:
                said.append(update.fields["simulated"])
            if isinstance(update, StatusUpdate | DoneUpdate):
                assert run.header().simulated is True
                assert run.record().simulated is True
        assert set(said) == {True}
        assert slot.history(1)[0].simulated is True
    finally:
        site.stop(worker)


def test_the_headers_of_a_history_do_not_look_like_empty_records(site: LiveSite) -> None:
    slot = Slot(SLOT, connection=Connection(load(site.environ)))
    run = slot.submit("run", script=site.script("published.py", PUBLISHING))
    assert run.wait(WITHIN_S).data["active_channels"] == [0, 1, 2, 3, 4]
    header = slot.history(1)[0]
    assert header.session_id == run.id
    for name in ("data", "messages", "files"):
        with pytest.raises(AttributeError, match="was not read"):
            getattr(header, name)
    assert slot.run(header.session_id).record().data["active_channels"] == [0, 1, 2, 3, 4]


@contextmanager
def captured_events() -> Iterator[list[dict[str, Any]]]:
    """The events that workers send within the block, as Flower receives them."""
    found: list[dict[str, Any]] = []
    stop, ready = threading.Event(), threading.Event()

    def capture() -> None:
        with app.connection_for_read() as connection:
            receiver = app.events.Receiver(connection, handlers={"*": found.append})
            ready.set()
            while not stop.is_set():
                try:
                    receiver.capture(limit=None, timeout=0.2, wakeup=False)
                except TimeoutError:
                    continue

    thread = threading.Thread(target=capture)
    thread.start()
    try:
        assert ready.wait(WITHIN_S)
        # An event of a worker is proof that the queue of this receiver is bound.
        eventually(lambda: found, what="a heartbeat of a worker was received")
        yield found
    finally:
        stop.set()
        thread.join(WITHIN_S)


def test_flower_shows_progress_and_keeps_the_time_of_the_start(site: LiveSite) -> None:
    slot = Slot(SLOT, connection=Connection(load(site.environ)))
    end = site.folder / "lines.end"
    with captured_events() as events:
        run = slot.submit("run", script=site.script("lines.py", PUBLISHING + UNTIL_TOLD), args=[str(end)])
        eventually(lambda: len({e.get("result") for e in events if e.get("uuid") == run.id}) > 3)
        end.touch()
        record = run.wait(WITHIN_S)
        eventually(lambda: any(e["type"] == "task-succeeded" and e["uuid"] == run.id for e in events))
    state, started, texts = State(), [], []
    for event in list(events):
        state.event(event)
        if event["type"] == "task-started" and event["uuid"] == run.id:
            task = state.tasks[run.id]
            started.append(task.started)
            texts.append(task.result)
            assert task.state == "STARTED"
    updates = started[1:]
    assert len(updates) >= 2, "the first event is Celery's, the others show progress"
    assert len(set(updates)) == 1, "no update moves the start"
    assert updates[0] <= (record.start_time or 0.0), "it is the time at which the task was claimed"
    assert any("line" in str(text) for text in texts)
