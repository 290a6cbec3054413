"""Session records in Redis: a hash for the header, a hash for the session data, a stream for all events.

Writers append batches of events; a message costs its own size and not the record's. Readers fold the stream, or
wait for the next batches. ``history`` knows which records there are.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from redis.client import Pipeline

from smurfq.core import keys
from smurfq.core.jsonsafe import dumps, loads
from smurfq.core.session import HEADER_FIELDS, Event, Fold, SessionHeader, SessionRecord
from smurfq.errors import RecordNotFoundError
from smurfq.store.connection import Client
from smurfq.store.history import History, fields_of
from smurfq.store.lua_scripts import lua_script
from smurfq.store.streams import read_each_after, read_newest

BATCHES_KEPT = 200_000
BATCHES_A_PAGE = 2000
BEGINNING = "0-0"  # the position before a record's first batch
WRITTEN = "_written"  # field of the header: how many messages of its publishers the bridge has written
_REQUEST = "_request"  # field of the header from the claim on: the task's request
_RESTORED = HEADER_FIELDS - {"messages_total", "lost", "success", "outcome", "end_time"}
_READ_COUNT = 500
_LOOKED_BACK = 1000  # batches of other writers that may have come between a write and its retry


@dataclass(frozen=True)
class Batch:
    """Events of one record, written together. ``number`` only grows for a ``writer``.

    ``published`` counts the messages of publishers that they were made of.
    """

    task_id: str
    writer: str
    number: int
    events: Sequence[Event]
    published: int = 0


@dataclass(frozen=True)
class Update:
    """The events of one batch as a reader gets them, and the position from which to go on."""

    position: str
    writer: str
    number: int
    events: list[Event] = field(default_factory=list)


class Records:
    """The session records of a site."""

    def __init__(self, client: Client, expires_s: float) -> None:
        self.client = client
        self.expires_s = int(expires_s)
        self.index = History(client, expires_s)
        self._end = client.register_script(lua_script("end_record"))

    def start(self, record: SessionRecord) -> None:
        """Write down that a record's task has been claimed by a worker; also of one that was never admitted."""
        at = time.time()
        header = {
            name: value
            for name, value in record.to_dict().items()
            if name in ("op_name", "slot", "params", "simulated", "worker", "parent_id", "root_id")
        }
        begun = {"status": "starting", "worker": record.worker, "simulated": record.simulated}
        event = {"k": "header", "t": at, "set": begun}
        with self.client.pipeline(transaction=True) as pipe:
            self._set_header(pipe, record.session_id, header)
            self.index.queue(pipe, record.session_id, record.slot, record.op_name, at)
            self.queue(pipe, Batch(record.session_id, "claim", 0, [event]))
            pipe.execute()

    def restore(self, record: SessionHeader, request: Mapping[str, Any]) -> bool:
        """Whether Redis had lost the header of a record whose task runs; it is written again.

        What the bridge counts in it goes on from what is there.
        """
        key = keys.record(record.session_id)
        if self.client.hexists(key, _REQUEST):
            return False
        known = {name: value for name, value in record.to_dict().items() if name in _RESTORED and value is not None}
        at = record.submit_time or time.time()
        event = {"k": "header", "t": time.time(), "set": known}
        with self.client.pipeline(transaction=True) as pipe:
            pipe.hset(key, _REQUEST, dumps(request))
            self.index.queue(pipe, record.session_id, record.slot, record.op_name, at)
            self.queue(pipe, Batch(record.session_id, f"restored-{time.time_ns()}", 0, [event]))
            pipe.execute()
        return True

    def kept_message(self, task_id: str) -> tuple[Any, int]:
        """The message that asks for a task which nobody has claimed, and how often it was sent again."""
        text, resent = self.client.hmget(keys.record(task_id), ["_message", "_resent"])
        return (loads(text) if text else None), int(resent or 0)

    def append(self, *batches: Batch) -> None:
        """Write batches of events, in one round trip."""
        with self.client.pipeline(transaction=True) as pipe:
            for batch in batches:
                self.queue(pipe, batch)
            pipe.execute()

    def is_written(self, batch: Batch) -> bool:
        """Whether a batch is among the newest: a lost connection does not tell whether its writing was done."""
        entries = read_newest(self.client, keys.events(batch.task_id), _LOOKED_BACK)
        return any(entry["w"] == batch.writer and int(entry["n"]) == batch.number for _, entry in entries)

    def end(self, task_id: str, writer: str, event: Event) -> bool:
        """Write how a run ended; false, and nothing is written, where its end was written before."""
        header = [text for name, value in event["set"].items() for text in (name, dumps(value))]
        events = keys.events(task_id)
        names = [keys.record(task_id), events, keys.WAITING, keys.data(task_id), keys.LAST, f"{events}:copy"]
        return bool(self._end(keys=names, args=[self.expires_s, task_id, writer, dumps([event]), *header]))

    def queue(self, pipe: Pipeline, batch: Batch) -> None:
        """Put the commands that write ``batch`` into a pipeline."""
        task_id = batch.task_id
        if kept := [event for event in batch.events if event.get("kept", True)]:
            fields: dict[Any, Any] = {"w": batch.writer, "n": batch.number, "b": dumps(kept)}
            pipe.xadd(keys.events(task_id), fields, maxlen=BATCHES_KEPT, approximate=True)
        header: dict[str, Any] = {}
        messages = files = 0
        data_touched = False
        for event in batch.events:
            kind = event["k"]
            if kind == "header":
                header.update(event["set"])
            elif kind == "message":
                messages += 1
            elif kind == "file":
                files += 1
            elif kind == "data":
                data_touched = True
        self._queue_data(pipe, task_id, batch.events if data_touched else ())
        if messages:
            pipe.hincrby(keys.record(task_id), "messages_total", messages)
        if files:
            pipe.hincrby(keys.record(task_id), "_files", files)
        if batch.published:
            pipe.hincrby(keys.record(task_id), WRITTEN, batch.published)
        pipe.hincrby(keys.record(task_id), "_rev", 1)
        self._set_header(pipe, task_id, header)
        pipe.expire(keys.events(task_id), self.expires_s)
        if header.get("status") == "done":  # all of the record goes at once, whenever its data were last written
            pipe.expire(keys.data(task_id), self.expires_s)

    def _set_header(self, pipe: Pipeline, task_id: str, header: Mapping[str, Any]) -> None:
        if header:
            pipe.hset(keys.record(task_id), mapping={name: dumps(value) for name, value in header.items()})
        pipe.expire(keys.record(task_id), self.expires_s)

    def _queue_data(self, pipe: Pipeline, task_id: str, events: Iterable[Event]) -> None:
        """Set the keys of the session data, each as it stands after all of ``events``."""
        key = keys.data(task_id)
        merged: dict[str, Any] = {}
        removed: set[str] = set()
        touched = False
        for event in events:
            if event["k"] != "data":
                continue
            touched = True
            if event.get("replace"):
                pipe.delete(key)
                merged.clear()
                removed.clear()
            merged.update(event.get("set", {}))
            removed.difference_update(event.get("set", {}))
            for name in event.get("remove", ()):
                merged.pop(name, None)
                removed.add(name)
        if removed:
            pipe.hdel(key, *sorted(removed))
        if merged:
            pipe.hset(key, mapping={name: dumps(value) for name, value in merged.items()})
        if touched:
            pipe.expire(key, self.expires_s)

    def exists(self, task_id: str) -> bool:
        """Whether a record is known by this id."""
        return bool(self.client.exists(keys.record(task_id)))

    def header(self, task_id: str) -> SessionHeader:
        """The record's header: cheap, whatever the record's size.

        Raises
        ------
        RecordNotFoundError
            No record is known by this id.
        """
        return self.headers([task_id])[0]

    def headers(self, task_ids: Sequence[str]) -> list[SessionHeader]:
        """The headers of several records, in one round trip; see ``header``."""
        return [_header(task_id, fields) for task_id, fields in zip(task_ids, self._fields(task_ids), strict=True)]

    def known_headers(self, task_ids: Sequence[str]) -> dict[str, SessionHeader]:
        """The headers of those of several records that are known, by id and in this order; see ``header``."""
        found = zip(task_ids, self._fields(task_ids), strict=True)
        return {task_id: _header(task_id, fields) for task_id, fields in found if fields}

    def _fields(self, task_ids: Sequence[str]) -> list[dict[str, str]]:
        with self.client.pipeline(transaction=False) as pipe:
            for task_id in task_ids:
                pipe.hgetall(keys.record(task_id))
            return pipe.execute()

    def slots_of(self, task_ids: Sequence[str]) -> dict[str, str]:
        """The slot of each of several records, of those that are known."""
        found = zip(task_ids, fields_of(self.client, task_ids, "slot"), strict=True)
        return {task_id: str(loads(text)) for task_id, text in found if text is not None}

    def last(self, slots: Sequence[str]) -> dict[str, SessionHeader]:
        """The header of the run that ended last on each of several slots, where one did and is known."""
        found = self.index.last(slots)
        headers = self.known_headers(list(found.values()))
        return {slot: headers[task_id] for slot, task_id in found.items() if task_id in headers}

    def data(self, task_id: str) -> dict[str, Any]:
        """The session data of a record, as it stands."""
        return _values(self.client.hgetall(keys.data(task_id)))  # type: ignore[arg-type]

    def files(self, task_id: str) -> list[dict[str, Any]]:
        """The files of a record; its events are read only where there are any."""
        if not self.client.hexists(keys.record(task_id), "_files"):
            return []
        return self.read(task_id).files

    def read(self, task_id: str) -> SessionRecord:
        """The whole record, as it stands.

        The events of a long run are read in pages, so that Redis serves others meanwhile. Header and data are those
        at the last page.

        Raises
        ------
        RecordNotFoundError
            No record is known by this id.
        """
        fold = Fold(SessionRecord(session_id=task_id))
        position = BEGINNING
        while True:
            with self.client.pipeline(transaction=True) as pipe:
                pipe.hgetall(keys.record(task_id))
                pipe.hgetall(keys.data(task_id))
                pipe.xrange(keys.events(task_id), min=f"({position}", count=BATCHES_A_PAGE)
                fields, data, entries = pipe.execute()
            for entry_id, entry in entries:
                position = entry_id
                fold.add(entry["w"], int(entry["n"]), loads(entry["b"]))
            if len(entries) < BATCHES_A_PAGE:
                break
        record = fold.finish()
        header = _header(task_id, fields)
        for name in _values({k: v for k, v in fields.items() if not k.startswith("_")}):
            setattr(record, name, getattr(header, name))
        record.data = _values(data)
        return record

    def tail(self, task_id: str, batches: int = 50) -> list[Event]:
        """The events of the newest ``batches`` batches, oldest first."""
        return self.tails([task_id], batches)[0]

    def tails(self, task_ids: Sequence[str], batches: int = 50) -> list[list[Event]]:
        """The newest events of several records, in one round trip; see ``tail``."""
        with self.client.pipeline(transaction=False) as pipe:
            for task_id in task_ids:
                pipe.xrevrange(keys.events(task_id), count=batches)
            found = pipe.execute()
        return [[event for _, entry in reversed(entries) for event in loads(entry["b"])] for entries in found]

    def updates_after(self, positions: Mapping[str, str], block_ms: int | None = None) -> dict[str, list[Update]]:
        """The batches of each record after its position, of the records that have any.

        It is one blocking read for all records, not a poll: it returns once there are any, and after ``block_ms`` at
        the latest; without ``block_ms``, at once.
        """
        ids = {keys.events(task_id): task_id for task_id in positions}
        after = {key: positions[task_id] for key, task_id in ids.items()}
        found = read_each_after(self.client, after, count=_READ_COUNT, block_ms=block_ms)
        return {
            ids[key]: [Update(at, entry["w"], int(entry["n"]), loads(entry["b"])) for at, entry in entries]
            for key, entries in found.items()
        }

    def newest_position(self, task_id: str) -> str:
        """The position of a record's newest batch."""
        newest = read_newest(self.client, keys.events(task_id), 1)
        return newest[0][0] if newest else BEGINNING

    def history(
        self, slot: str | None = None, count: int = 20, before: float | None = None, operation: str | None = None
    ) -> list[SessionHeader]:
        """The headers of the newest records, newest first; expired ones are left out. See ``History.ids``."""
        return list(self.known_headers(self.index.ids(slot, operation, count, before)).values())


def _values(fields: Mapping[str, str]) -> dict[str, Any]:
    return {name: loads(text) for name, text in fields.items()}


def _header(task_id: str, fields: Mapping[str, str]) -> SessionHeader:
    if not fields:
        raise RecordNotFoundError(
            f"no session record {task_id!r}: never submitted here, or expired; `smurfq history` lists those known",
            got=task_id,
        )
    values = _values({name: text for name, text in fields.items() if not name.startswith("_")})
    if values.get("outcome"):
        values["status"] = "done"  # whatever a process that is dead by now had sent before
    return SessionHeader.from_dict({"session_id": task_id, **values})
