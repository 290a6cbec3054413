"""Follows a run to its end, also over outages of Redis, and yields typed updates."""

from __future__ import annotations

import time
from collections.abc import Iterator

from smurfq.client.connection import Connection
from smurfq.client.run_reader import RunReader, read_header, read_record
from smurfq.client.updates import DoneUpdate, QueueUpdate, RecordUpdate, StoreUpdate, ends, translate
from smurfq.client.waiting import plain_name, short, why_waiting
from smurfq.core.progress import progress_of
from smurfq.errors import WaitTimeoutError
from smurfq.store.records import BEGINNING
from smurfq.store.redis_errors import AWAY


class Follower:
    """Follows one run, from its beginning or from now on.

    Raises
    ------
    RecordNotFoundError
        No record has this id.
    StoreUnavailableError
        Redis did not answer.
    """

    def __init__(self, connection: Connection, task_id: str, timeout_s: float | None, *, past: bool) -> None:
        self._connection = connection
        self._id = task_id
        self._timeout_s = timeout_s
        self._deadline = float("inf") if timeout_s is None else time.monotonic() + timeout_s
        self._reader = RunReader(connection)
        self._queue_text = ""
        self._ended = False
        with connection.reached():
            self._reader.add(task_id, task_id, BEGINNING if past else connection.records.newest_position(task_id))
            self._reader.look([task_id])
            if self._reader.header(task_id) is None:
                read_header(connection, task_id)

    def updates(self) -> Iterator[RecordUpdate]:
        """Yield every update after the position; the last is ``DoneUpdate``.

        Raises
        ------
        WaitTimeoutError
            The run did not end within the timeout.
        RecordNotFoundError
            The record no longer exists.
        """
        was_away = False
        while True:
            found: list[RecordUpdate] = []
            with self._reader.away.tolerated(self._left_s()):
                found = self._round()
            cause = self._reader.away.cause
            if cause is not None and not was_away:
                yield StoreUpdate(time.time(), True, f"Redis does not answer ({cause}); waiting for it")
            elif cause is None and was_away:
                yield StoreUpdate(time.time(), False, "Redis is back")
            was_away = cause is not None
            yield from found
            if found and isinstance(found[-1], DoneUpdate):
                return
            if self._left_s() <= 0 and (was_away or not self._ended):
                raise self._timed_out("Redis does not answer" if was_away else doing_now(self._connection, self._id))

    def _round(self) -> list[RecordUpdate]:
        """Return the new updates; if the run is over and there are no more events, return its end."""
        if self._ended:
            record = read_record(self._connection, self._id)
            return [DoneUpdate(record.end_time or time.time(), record)]
        header = self._reader.header(self._id) or read_header(self._connection, self._id)
        if header.status == "queued":
            reason = why_waiting(self._connection, header)
            if str(reason) != self._queue_text:
                self._queue_text = str(reason)
                return [QueueUpdate(time.time(), str(reason), reason.place)]
        wait_s = 0.0 if header.done else self._left_s()
        events = self._reader.read([self._id], wait_s).get(self._id, [])
        self._ended = any(map(ends, events)) or (header.done and not events)
        return [update for event in events for update in translate(event)]

    def _left_s(self) -> float:
        return self._deadline - time.monotonic()

    def _timed_out(self, doing: str) -> WaitTimeoutError:
        return WaitTimeoutError(
            f"{short(self._id)} was not over within {self._timeout_s:g} s: {doing}; it continues, "
            f"`smurfq follow {short(self._id)}` shows it, `smurfq abort {short(self._id)}` ends it",
            session_id=self._id,
        )


def doing_now(connection: Connection, task_id: str) -> str:
    """Describe in one line what a run is doing."""
    try:
        record = connection.records.header(task_id)
        if record.status == "queued":
            return f"{plain_name(record.op_name)} is {why_waiting(connection, record)}"
        progress = progress_of(connection.records.tail(task_id))
    except AWAY as cause:
        return f"Redis does not answer ({cause})"
    since = f" since {time.time() - record.start_time:.0f} s" if record.start_time else ""
    return (
        f"{plain_name(record.op_name)} on {record.slot} is {record.status}{since}"
        + (f", stage {progress.stage!r}" if progress.stage else "")
        + (f", last message {progress.message!r}" if progress.message else "")
    )
