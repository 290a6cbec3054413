"""The archive list: the messages of files that wait in Redis until the registrar has registered them in the archive.

The bridge appends, in the order of the messages, and the registrar removes. A message whose file cannot be registered
now is set aside in a second stream, with the reason.
"""

from __future__ import annotations

import itertools
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

from redis.client import Pipeline

from smurfq.core import keys, session
from smurfq.core.jsonsafe import dumps, loads
from smurfq.core.messages import Message
from smurfq.store.connection import Client
from smurfq.store.lua_scripts import lua_script
from smurfq.store.streams import Entry

FILE_TYPES: Final = frozenset({"data_file", "g3_file"})
ALIVE_S: Final = 10  # if the registrar has not reported for this long, it counts as gone


class FileMessage(NamedTuple):
    """A Publisher's message that a file is complete."""

    publisher: str  # the publisher id
    payload: Any
    arrival: float  # when the bridge received it, s since 1970
    task_id: str | None  # the run that published it

    @classmethod
    def of(cls, message: Message, arrival: float, task_id: str | None) -> FileMessage:
        """Return what the archive needs of a message."""
        return cls(message.id, message.payload, arrival, task_id)


class ListedFile(NamedTuple):
    """A message in the archive list. ``position`` is its place in its stream."""

    position: str
    message: FileMessage


class SettledFile(NamedTuple):
    """A message that the registrar has dealt with.

    Without a ``reason``, its file is registered. Else the file cannot be registered now, for this reason.
    """

    listed: ListedFile
    at: float  # s since 1970
    paths: Sequence[str]  # the names under which the record of the run may list the file
    change: Mapping[str, Any]  # of the file in the record
    reason: str = ""


@dataclass(frozen=True)
class Registrar:
    """The registrar's latest report of its health. ``problem`` keeps it from registering."""

    pid: int
    host: str
    started: float  # s since 1970
    database: str
    problem: str | None = None


@dataclass(frozen=True)
class ArchiveState:
    """The state of the archive list."""

    waiting: int  # messages
    oldest: float | None  # when the oldest of them arrived, s since 1970
    set_aside: int  # messages
    reason: str | None  # why the newest of these was set aside
    registered: int  # messages whose file was registered, in all
    registrar: Registrar | None  # None if it has not reported for ``ALIVE_S`` seconds

    @property
    def in_use(self) -> bool:
        """Whether a registrar runs, or files wait for one."""
        return self.registrar is not None or self.waiting > 0


class ArchiveList:
    """The archive list of a bridge, whose files are on its server."""

    def __init__(self, client: Client, bridge: str) -> None:
        self._client = client
        self.waiting_key, self._set_aside_key = keys.archive_waiting(bridge), keys.archive_set_aside(bridge)
        self._totals_key, self._registrar_key = keys.archive_totals(bridge), keys.archive_registrar(bridge)
        self._settle = client.register_script(lua_script("settle_file"))
        self._writer = f"archive-{os.getpid()}-{secrets.token_hex(4)}"
        self._numbers = itertools.count(1)

    def queue(self, pipe: Pipeline, messages: Iterable[FileMessage]) -> None:
        """Add the commands that append ``messages`` to a pipeline."""
        for message in messages:
            pipe.xadd(self.waiting_key, {"m": dumps(list(message))})

    def oldest(self, count: int) -> list[ListedFile]:
        """Return the oldest waiting messages."""
        found: Any = self._client.xrange(self.waiting_key, count=count)
        return list(map(_listed, found))

    def set_aside(self, page: int) -> Iterator[list[ListedFile]]:
        """Yield the messages that were set aside, the oldest first, ``page`` at a time."""
        after = "-"
        while True:
            found: Any = self._client.xrange(self._set_aside_key, min=after, count=page)
            if not found:
                return
            yield list(map(_listed, found))
            after = f"({found[-1][0]}"

    def settle(self, settled: Iterable[SettledFile], database: str, *, was_set_aside: bool = False) -> None:
        """Remove messages from their stream, and note in the records of their runs how they were dealt with.

        A message that was removed before changes nothing.
        """
        stream = self._set_aside_key if was_set_aside else self.waiting_key
        with self._client.pipeline(transaction=False) as pipe:
            for (position, message), at, paths, change, reason in settled:
                changes = [session.file_found(path, change, at) for path in paths]
                self._settle(
                    keys=[stream, self._set_aside_key, self._totals_key, keys.events(message.task_id or "")],
                    args=[
                        *(position, dumps(list(message)), reason, database),
                        *(self._writer, next(self._numbers), dumps(changes) if changes and message.task_id else ""),
                    ],
                    client=pipe,
                )
            pipe.execute()

    def forget_set_aside(self, before: float) -> int:
        """Delete the messages that were set aside before a time (s since 1970), and return their number."""
        return int(self._client.xtrim(self._set_aside_key, minid=int(1000 * before), approximate=False))

    def database(self) -> str | None:
        """Return the database in which the last file was registered; None if no file was."""
        return self._client.hget(self._totals_key, "database")  # type: ignore[return-value]

    def report(self, health: Registrar) -> None:
        """Write the registrar's health; it expires after ``ALIVE_S`` seconds."""
        with self._client.pipeline(transaction=True) as pipe:
            pipe.hset(self._registrar_key, mapping={name: dumps(value) for name, value in asdict(health).items()})
            pipe.expire(self._registrar_key, ALIVE_S)
            pipe.execute()

    def end_report(self) -> None:
        """Delete the registrar's health, so that it counts as gone at once."""
        self._client.delete(self._registrar_key)

    def state(self) -> ArchiveState:
        """Return the present state of the list."""
        with self._client.pipeline(transaction=True) as pipe:
            pipe.xlen(self.waiting_key)
            pipe.xrange(self.waiting_key, count=1)
            pipe.xlen(self._set_aside_key)
            pipe.xrevrange(self._set_aside_key, count=1)
            pipe.hget(self._totals_key, "registered")
            pipe.hgetall(self._registrar_key)
            waiting, oldest, set_aside, newest, registered, told = pipe.execute()
        return ArchiveState(
            waiting=waiting,
            oldest=_listed(oldest[0]).message.arrival if oldest else None,
            set_aside=set_aside,
            reason=newest[0][1]["reason"] if newest else None,
            registered=int(registered or 0),
            registrar=Registrar(**{name: loads(text) for name, text in told.items()}) if told else None,
        )


def names_of_lists(client: Client) -> list[str]:
    """Return the names of the bridges that have or had an archive list. This reads the names of all keys of Redis."""
    prefixes = keys.archive_waiting(""), keys.archive_set_aside("")
    found = {key.removeprefix(prefix) for prefix in prefixes for key in client.scan_iter(f"{prefix}*", count=1000)}
    return sorted(found)


def _listed(entry: Entry) -> ListedFile:
    position, fields = entry
    return ListedFile(position, FileMessage(*loads(fields["m"])))
