"""Writes records like workers, for tests of their readers."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from smurfq.client.connection import Connection
from smurfq.core import keys, session
from smurfq.core.jsonsafe import dumps
from smurfq.core.session import Event, Outcome, SessionRecord
from smurfq.store import Batch
from smurfq.store.fence import Running
from tests.site.eventually import WITHIN_S, eventually


class Writer:
    """What a worker writes of one run."""

    def __init__(self, connection: Connection, task_id: str) -> None:
        self._connection = connection
        self._id = task_id
        self._numbers = itertools.count()

    def write(self, *events: Event) -> Batch:
        """Write events as one batch, which is given back so that it can be written again."""
        batch = Batch(self._id, "test", next(self._numbers), events)
        self._connection.records.append(batch)
        return batch

    def start(self, slot: str = "crate1slot2") -> None:
        """Begin the run: taken from its queue, written down as running."""
        for waiting in self._connection.queues.waiting(slot):
            if waiting.task_id == self._id:
                self._connection.queues.remove(waiting)
        now = time.time()
        running = Running(self._id, "test", slot, slot, "host", "lease", now)
        self._connection.redis.set(keys.running(slot), dumps(asdict(running)))
        self.write(session.header(now, status="running", start_time=now))

    def end(self, outcome: Outcome, error: dict[str, str] | None = None, slot: str = "crate1slot2") -> None:
        """End the run."""
        self._connection.records.end(self._id, "test-end", session.ended(time.time(), outcome, error))
        self._connection.redis.delete(keys.running(slot))

    def message(self, text: str) -> None:
        """Write a line for people."""
        self.write(session.message(text, time.time()))


@contextmanager
def beside(*work: Callable[[], object]) -> Iterator[threading.Thread]:
    """Do one thing after the other in a thread beside the block; it is over when the block is."""
    thread = threading.Thread(target=lambda: [each() for each in work], daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        thread.join(WITHIN_S)
        assert not thread.is_alive()


def error_of(record: SessionRecord) -> dict[str, Any]:
    """The error of a run that must have one."""
    assert record.error is not None, record.outcome
    return record.error


def until_followed(connection: Connection) -> None:
    """Return once somebody waits for news, as a follower does that has told all that there was."""
    eventually(
        lambda: any(client["cmd"] == "xread" and "b" in client["flags"] for client in connection.redis.client_list()),
        what="somebody follows",
    )


def serve(connection: Connection, slot: str = "crate1slot2") -> None:
    """Make the slot look served."""
    connection.redis.set(keys.lease(slot), "a-worker", px=600_000)
