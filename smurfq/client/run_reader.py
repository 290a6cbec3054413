"""Reads the records and new events of runs; one blocking read of Redis serves several runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeVar

from smurfq.client.connection import Connection
from smurfq.client.final import ended_by_meta
from smurfq.client.run_state import RunState
from smurfq.core.session import Event, SessionHeader, SessionRecord
from smurfq.errors import RecordNotFoundError
from smurfq.store.final_metadata import final_metadata
from smurfq.store.outage import RedisAway
from smurfq.store.records import BEGINNING, Update

LOOK_EVERY_S = 1.0  # how often the header is read without an event: an end that only Celery knows causes none
_CHECK_EVERY_S = 0.25
T = TypeVar("T", bound=SessionHeader)


def read_record(connection: Connection, task_id: str) -> SessionRecord:
    """Return the present record of any run. If no worker wrote its end, use Celery's metadata.

    Raises
    ------
    RecordNotFoundError
        No record has this id.
    """
    return _read(connection, task_id, connection.records.read, SessionRecord)


def read_header(connection: Connection, task_id: str) -> SessionHeader:
    """Return the record's header, which is fast for a record of any size; see ``read_record``."""
    return _read(connection, task_id, connection.records.header, SessionHeader)


def _read(connection: Connection, task_id: str, read: Callable[[str], T], kind: type[T]) -> T:
    try:
        record = read(task_id)
    except RecordNotFoundError:
        meta = final_metadata(connection.redis, [task_id])
        if not meta:
            raise
        return ended_by_meta(kind(session_id=task_id), meta[task_id])
    if not record.done and (meta := final_metadata(connection.redis, [task_id])):
        return ended_by_meta(record, meta[task_id])
    return record


class RunReader:
    """Reads the events of several runs. The caller gives each run a name, for example that of its slot.

    ``away`` is set while Redis is away.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._runs: dict[str, RunState] = {}
        self.away = RedisAway()

    @property
    def ids(self) -> Mapping[str, str]:
        """The session ids, by name."""
        return {name: run.id for name, run in self._runs.items()}

    def add(self, name: str, run_id: str, position: str = BEGINNING) -> None:
        """Read this run from ``position`` on. It replaces an earlier run of the same name."""
        self._runs[name] = RunState(run_id, position)

    def header(self, name: str) -> SessionHeader | None:
        """Return the run's last read header; None if it was not read yet, or if there is no record."""
        return self._runs[name].header if name in self._runs else None

    def over(self, name: str) -> bool:
        """Return whether the run was over when it was last read."""
        return name in self._runs and self._runs[name].over

    def look(self, names: Iterable[str]) -> None:
        """Read the headers of runs, and Celery's metadata of those that have not ended."""
        runs, now = [self._runs[name] for name in names], time.monotonic()
        headers = self._connection.records.known_headers([run.id for run in runs])
        going_on = [run.id for run in runs if run.id not in headers or not headers[run.id].done]
        metas = final_metadata(self._connection.redis, going_on)
        for run in runs:
            run.see(headers.get(run.id), metas.get(run.id), now)
            run.look_at = now + LOOK_EVERY_S

    def read(self, names: Collection[str], wait_s: float) -> dict[str, list[Event]]:
        """Return the new events of runs, by name; nothing if none came for ``wait_s`` or until the next ``look``."""
        now = time.monotonic()
        if due := [name for name in names if self._runs[name].look_at <= now]:
            self.look(due)
        by_id = {self._runs[name].id: name for name in names}
        positions = {run_id: self._runs[name].position for run_id, name in by_id.items()}
        wait_s = min(wait_s, min(self._runs[name].look_at for name in names) - time.monotonic())
        block_ms = max(1, int(1000 * wait_s)) if wait_s > 0 else None
        updates = self._connection.records.updates_after(positions, block_ms)
        # Read the headers before the events are counted as read: if Redis goes away in between, no event is lost.
        self.look([by_id[run_id] for run_id, new in updates.items() if any(map(_changes_header, new))])
        return {by_id[run_id]: self._runs[by_id[run_id]].take(new) for run_id, new in updates.items()}

    def wait(
        self,
        names: Iterable[str],
        enough: Callable[[str], bool],
        *,
        until: float,
        check: Callable[[], None] = lambda: None,
        heed: Callable[[str, list[Event]], None] = lambda _name, _events: None,
    ) -> set[str]:
        """Wait until ``enough`` is true for all names; return those for which it is not at ``until`` (monotonic).

        ``check`` is called several times a second, and can raise an error to end the wait. ``heed`` receives the new
        events. The runs are read at least once. Outages of Redis are waited out.
        """
        waiting, left_s = set(names), float("inf")
        while left_s > 0 and (waiting := {name for name in waiting if not enough(name)}):
            check()
            left_s = until - time.monotonic()
            with self.away.tolerated(left_s):
                for name, events in self.read(waiting, min(_CHECK_EVERY_S, left_s)).items():
                    heed(name, events)
        return {name for name in waiting if not enough(name)}


def _changes_header(update: Update) -> bool:
    return any(event["k"] == "header" for event in update.events)
