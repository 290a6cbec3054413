"""Writes session records to Redis in batches of events, so that a write costs the size of its events only.

A record is a hash for the header, a hash for the session data, and a stream of all events. ``records`` reads them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.client import Pipeline

from smurfq.core import keys
from smurfq.core.jsonsafe import dumps
from smurfq.core.session import HEADER_FIELDS, Event, SessionHeader, SessionRecord
from smurfq.store.connection import Client
from smurfq.store.history import History
from smurfq.store.lua_scripts import lua_script
from smurfq.store.streams import read_newest

BATCHES_KEPT = 200_000
WRITTEN = "_written"  # header field: how many published messages of this run the bridge has written
_REQUEST = "_request"  # header field, written at the claim: the task's request
_RESTORED = HEADER_FIELDS - {"messages_total", "lost", "success", "outcome", "end_time"}
_LOOKED_BACK = 1000  # batches that other writers may add between a write and its retry


@dataclass(frozen=True)
class Batch:
    """Events of one record that are written together. Each ``writer`` numbers its batches with increasing ``number``.

    ``published`` is the number of published messages from which the events were made.
    """

    task_id: str
    writer: str
    number: int
    events: Sequence[Event]
    published: int = 0


class BatchWriter:
    """Writes the session records of a site."""

    def __init__(self, client: Client, expires_s: float) -> None:
        self.client = client
        self.expires_s = int(expires_s)
        self.index = History(client, expires_s)
        self._end = client.register_script(lua_script("end_record"))

    def start(self, record: SessionRecord) -> None:
        """Record that a worker has claimed the task. Create the record if the task was never admitted."""
        at = time.time()
        header = {
            name: value
            for name, value in record.to_dict().items()
            if name in ("op_name", "slot", "stream_id", "params", "simulated", "worker", "parent_id", "root_id")
        }
        begun = {"status": "starting"} | {name: header[name] for name in ("stream_id", "worker", "simulated")}
        event = {"k": "header", "t": at, "set": begun}
        with self.client.pipeline(transaction=True) as pipe:
            self._set_header(pipe, record.session_id, header)
            self.index.queue(pipe, record.session_id, record.slot, record.op_name, at)
            self.queue(pipe, Batch(record.session_id, "claim", 0, [event]))
            pipe.execute()

    def restore(self, record: SessionHeader, request: Mapping[str, Any]) -> bool:
        """Write the header of a running task's record again if Redis lost it; return whether it was lost.

        The bridge's count in the header continues from its present value.
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

    def append(self, *batches: Batch) -> None:
        """Write batches of events, in one round trip."""
        with self.client.pipeline(transaction=True) as pipe:
            for batch in batches:
                self.queue(pipe, batch)
            pipe.execute()

    def is_written(self, batch: Batch) -> bool:
        """Return whether a batch is among the newest. A writer that lost its connection does not know this."""
        entries = read_newest(self.client, keys.events(batch.task_id), _LOOKED_BACK)
        return any(entry["w"] == batch.writer and int(entry["n"]) == batch.number for _, entry in entries)

    def end(self, task_id: str, writer: str, event: Event) -> bool:
        """Write the end of a run. If its end was written before, write nothing and return false."""
        header = [text for name, value in event["set"].items() for text in (name, dumps(value))]
        events = keys.events(task_id)
        names = [keys.record(task_id), events, keys.WAITING, keys.data(task_id), keys.LAST, f"{events}:copy"]
        return bool(self._end(keys=names, args=[self.expires_s, task_id, writer, dumps([event]), *header]))

    def queue(self, pipe: Pipeline, batch: Batch) -> None:
        """Add the commands that write ``batch`` to a pipeline."""
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
        if header.get("status") == "done":  # all keys of the record expire together, whenever each was last written
            pipe.expire(keys.data(task_id), self.expires_s)

    def _set_header(self, pipe: Pipeline, task_id: str, header: Mapping[str, Any]) -> None:
        if header:
            pipe.hset(keys.record(task_id), mapping={name: dumps(value) for name, value in header.items()})
        pipe.expire(keys.record(task_id), self.expires_s)

    def _queue_data(self, pipe: Pipeline, task_id: str, events: Iterable[Event]) -> None:
        """Set each key of the session data to its value after all of ``events``."""
        key = keys.data(task_id)
        merged: dict[str, Any] = {}
        removed: set[str] = set()
        touched = False
        for event in events:
            if event["k"] != "data":
                continue
            touched = True
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
