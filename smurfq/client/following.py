"""Follows a run to its end by subscription, over outages of Redis."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from smurfq.client.connection import Connection
from smurfq.client.final import META_HEAD_CHARS, SETTLE_S, ended_by_meta, final_meta, is_final
from smurfq.client.updates import DoneUpdate, QueueUpdate, RecordUpdate, StoreUpdate, ends, translate
from smurfq.client.waiting import plain_name, short, why_waiting
from smurfq.core import keys
from smurfq.core.jsonsafe import loads
from smurfq.core.progress import progress_of
from smurfq.core.session import Event, SessionHeader, SessionRecord
from smurfq.errors import RecordNotFoundError, WaitTimeoutError
from smurfq.store.connection import AWAY

_LOOK_ROUND_S = 1.0  # how long nothing must come before the queue and Celery's metadata are looked at
_LONGEST_PAUSE_S = 1.0
T = TypeVar("T", bound=SessionHeader)


def read_record(connection: Connection, task_id: str) -> SessionRecord:
    """The record of any run, past or present, as it stands; where no worker ended it, Celery's word counts.

    Raises
    ------
    RecordNotFoundError
        No record is known by this id.
    """
    return _read(connection, task_id, connection.records.read, SessionRecord)


def read_header(connection: Connection, task_id: str) -> SessionHeader:
    """The record's header: cheap, whatever the record's size; else as above."""
    return _read(connection, task_id, connection.records.header, SessionHeader)


def _read(connection: Connection, task_id: str, read: Callable[[str], T], kind: type[T]) -> T:
    try:
        record = read(task_id)
    except RecordNotFoundError:
        meta = final_meta(connection.redis, task_id)
        if meta is None:
            raise
        return ended_by_meta(kind(session_id=task_id), meta)
    if not record.done and (meta := final_meta(connection.redis, task_id)) is not None:
        return ended_by_meta(record, meta)
    return record


class Follower:
    """A reader of one run's events, from a position on."""

    def __init__(self, connection: Connection, task_id: str, timeout_s: float | None, *, past: bool) -> None:
        self._connection = connection
        self._id = task_id
        self._timeout_s = timeout_s
        self._deadline = None if timeout_s is None else time.monotonic() + timeout_s
        self._seen: dict[str, int] = {}
        self._queue_text = ""
        self._idle = False
        self._final_since: float | None = None
        with connection.reached():
            self._position = "0-0" if past else self._end()
            self._status = self._look()

    def updates(self) -> Iterator[RecordUpdate]:
        """Every update from the position on; the last is ``DoneUpdate``.

        Raises
        ------
        WaitTimeoutError
            The run was not over in the time given.
        RecordNotFoundError
            The record is no longer known.
        """
        away, pause_s = False, 0.05
        while True:
            try:
                for found in self._round():
                    if away:
                        yield StoreUpdate(time.time(), False, "Redis is back")
                        away, pause_s = False, 0.05
                    if found is not None:
                        yield found
                    if isinstance(found, DoneUpdate):
                        return
            except AWAY as cause:
                if not away:
                    yield StoreUpdate(time.time(), True, f"Redis does not answer ({cause}); waiting for it")
                away = True
                self._check_deadline(told="Redis does not answer")
                time.sleep(max(0.0, min(pause_s, self._left_s())))
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            else:
                self._check_deadline()

    def _round(self) -> Iterator[RecordUpdate | None]:
        """Updates until nothing came for a while, then a look round. ``None``: Redis answered."""
        if self._status == "queued":
            yield from self._queue()
        if self._status == "done" and (self._idle or self._position == self._end()):
            yield self._done()
            return
        wait_s = SETTLE_S if self._final_since is not None else _LOOK_ROUND_S
        block_ms = max(1, int(1000 * min(wait_s, self._left_s())))
        for update in self._connection.records.subscribe(self._id, self._position, block_ms):
            yield None
            self._idle = update is None
            if update is None:
                break
            self._position = update.position
            if update.number > self._seen.get(update.writer, -1):
                self._seen[update.writer] = update.number
                yield from self._batch(update.events)
            if self._left_s() <= 0:
                break
        self._status = self._look()

    def _batch(self, events: list[Event]) -> Iterator[RecordUpdate]:
        over = False
        for event in events:
            over = over or ends(event)
            for found in translate(event):
                self._status = getattr(found, "status", "") or self._status
                yield found
        if over:
            yield self._done()

    def _look(self) -> str:
        """The status as it stands; ``done`` as well where only Celery's metadata knows of the end."""
        with self._connection.redis.pipeline(transaction=False) as pipe:
            pipe.hget(keys.record(self._id), "status")
            pipe.exists(keys.record(self._id))
            pipe.getrange(keys.meta(self._id), 0, META_HEAD_CHARS)
            status, exists, head = pipe.execute()
        final = is_final(head)
        if not exists and not final:
            raise RecordNotFoundError(
                f"no session record {self._id!r}: never submitted here, or expired; `smurfq history` lists those known",
                got=self._id,
            )
        told = str(loads(status)) if status else "queued"
        if told == "done" or not final:
            self._final_since = None
            return told
        self._final_since = self._final_since or time.monotonic()
        settled = not exists or time.monotonic() - self._final_since >= SETTLE_S
        return "done" if settled else told

    def _end(self) -> str:
        newest = self._connection.redis.xrevrange(keys.events(self._id), count=1)
        return str(newest[0][0]) if newest else "0-0"

    def _done(self) -> DoneUpdate:
        record = read_record(self._connection, self._id)
        return DoneUpdate(record.end_time or time.time(), record)

    def _queue(self) -> Iterator[QueueUpdate]:
        reason = why_waiting(self._connection, self._connection.records.header(self._id))
        if str(reason) != self._queue_text:
            self._queue_text = str(reason)
            yield QueueUpdate(time.time(), str(reason), reason.place)

    def _left_s(self) -> float:
        return float("inf") if self._deadline is None else self._deadline - time.monotonic()

    def _check_deadline(self, told: str | None = None) -> None:
        if self._left_s() > 0:
            return
        doing = told or doing_now(self._connection, self._id)
        raise WaitTimeoutError(
            f"{short(self._id)} was not over within {self._timeout_s:g} s: {doing}; it goes on, "
            f"`smurfq follow {short(self._id)}` shows it, `smurfq abort {short(self._id)}` ends it",
            session_id=self._id,
        )


def doing_now(connection: Connection, task_id: str) -> str:
    """What a run is doing, in one line for people."""
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
