"""Session records in Redis: a hash for the header, a hash for the session data, a stream for all events.

``record_batches`` writes them. Readers fold the events of the stream, or wait for the next batches. ``history`` lists
the records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from smurfq.core import keys
from smurfq.core.jsonsafe import loads
from smurfq.core.session import Event, SessionHeader, SessionRecord
from smurfq.core.session_fold import Fold
from smurfq.errors import RecordNotFoundError
from smurfq.store.history import fields_of
from smurfq.store.record_batches import BatchWriter
from smurfq.store.streams import read_each_after, read_newest

BATCHES_A_PAGE = 2000
BEGINNING = "0-0"  # the position before a record's first batch
NOW = "$"  # the position after the batches that exist at the time of a read
_READ_COUNT = 500


@dataclass(frozen=True)
class Update:
    """The events of one batch, and the position from which a reader continues."""

    position: str
    writer: str
    number: int
    events: list[Event] = field(default_factory=list)


class Records(BatchWriter):
    """Reads the session records of a site, and writes them as a ``BatchWriter``."""

    def kept_message(self, task_id: str) -> tuple[Any, int]:
        """Return the kept message of a task that nobody has claimed, and how often it was sent again."""
        text, resent = self.client.hmget(keys.record(task_id), ["_message", "_resent"])
        return (loads(text) if text else None), int(resent or 0)

    def exists(self, task_id: str) -> bool:
        """Return whether a record has this id."""
        return bool(self.client.exists(keys.record(task_id)))

    def header(self, task_id: str) -> SessionHeader:
        """Return the record's header; this is fast for a record of any size.

        Raises
        ------
        RecordNotFoundError
            No record is known by this id.
        """
        return self.headers([task_id])[0]

    def headers(self, task_ids: Sequence[str]) -> list[SessionHeader]:
        """Return the headers of several records in one round trip; see ``header``."""
        return [_header(task_id, fields) for task_id, fields in zip(task_ids, self._fields(task_ids), strict=True)]

    def known_headers(self, task_ids: Sequence[str]) -> dict[str, SessionHeader]:
        """Return the headers of those records that exist, by id and in the given order; see ``header``."""
        found = zip(task_ids, self._fields(task_ids), strict=True)
        return {task_id: _header(task_id, fields) for task_id, fields in found if fields}

    def _fields(self, task_ids: Sequence[str]) -> list[dict[str, str]]:
        with self.client.pipeline(transaction=False) as pipe:
            for task_id in task_ids:
                pipe.hgetall(keys.record(task_id))
            return pipe.execute()

    def slots_of(self, task_ids: Sequence[str]) -> dict[str, str]:
        """Return the slot of each record that exists."""
        found = zip(task_ids, fields_of(self.client, task_ids, "slot"), strict=True)
        return {task_id: str(loads(text)) for task_id, text in found if text is not None}

    def last(self, slots: Sequence[str]) -> dict[str, SessionHeader]:
        """Return the header of the run that ended last on each slot, if there is one and its record exists."""
        found = self.index.last(slots)
        headers = self.known_headers(list(found.values()))
        return {slot: headers[task_id] for slot, task_id in found.items() if task_id in headers}

    def data(self, task_id: str) -> dict[str, Any]:
        """Return the present session data of a record."""
        return _values(self.client.hgetall(keys.data(task_id)))  # type: ignore[arg-type]

    def files(self, task_id: str) -> list[dict[str, Any]]:
        """Return the files of a record. The events are read only if the record has files."""
        if not self.client.hexists(keys.record(task_id), "_files"):
            return []
        return self.read(task_id).files

    def read(self, task_id: str) -> SessionRecord:
        """Return the whole present record.

        The events of a long run are read in pages, so that Redis can serve others between the pages. Header and data
        are read with the last page.

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
        """Return the events of the newest ``batches`` batches, oldest first."""
        return self.tails([task_id], batches)[0]

    def tails(self, task_ids: Sequence[str], batches: int = 50) -> list[list[Event]]:
        """Return the newest events of several records in one round trip; see ``tail``."""
        with self.client.pipeline(transaction=False) as pipe:
            for task_id in task_ids:
                pipe.xrevrange(keys.events(task_id), count=batches)
            found = pipe.execute()
        return [[event for _, entry in reversed(entries) for event in loads(entry["b"])] for entries in found]

    def updates_after(self, positions: Mapping[str, str], block_ms: int | None = None) -> dict[str, list[Update]]:
        """Return the batches after the position of each record that has any.

        This is one blocking read for all records. It returns when there are batches, and after ``block_ms`` at the
        latest; without ``block_ms``, it returns at once.
        """
        ids = {keys.events(task_id): task_id for task_id in positions}
        after = {key: positions[task_id] for key, task_id in ids.items()}
        found = read_each_after(self.client, after, count=_READ_COUNT, block_ms=block_ms)
        return {
            ids[key]: [Update(at, entry["w"], int(entry["n"]), loads(entry["b"])) for at, entry in entries]
            for key, entries in found.items()
        }

    def newest_position(self, task_id: str) -> str:
        """Return the position of a record's newest batch."""
        newest = read_newest(self.client, keys.events(task_id), 1)
        return newest[0][0] if newest else BEGINNING

    def history(
        self, slot: str | None = None, count: int = 20, before: float | None = None, operation: str | None = None
    ) -> list[SessionHeader]:
        """Return the headers of the newest records, newest first, without expired ones. See ``History.ids``."""
        return list(self.known_headers(self.index.ids(slot, operation, count, before)).values())


def _values(fields: Mapping[str, str]) -> dict[str, Any]:
    return {name: loads(text) for name, text in fields.items()}


def _header(task_id: str, fields: Mapping[str, str]) -> SessionHeader:
    if not fields:
        raise RecordNotFoundError(
            f"no session record {task_id!r}: it was never submitted here, or has expired; `smurfq history` lists them",
            got=task_id,
        )
    values = _values({name: text for name, text in fields.items() if not name.startswith("_")})
    if values.get("outcome"):
        values["status"] = "done"  # even if a process that has died since sent another status
    return SessionHeader.from_dict({"session_id": task_id, **values})
