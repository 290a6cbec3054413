"""The bridge's report in Redis: its health, its counters, and the last number of each publisher."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from redis.client import Pipeline

from smurfq.core import keys
from smurfq.core.jsonsafe import dumps, loads
from smurfq.core.sequence import SOURCES_KEPT, Source
from smurfq.core.strands import Position
from smurfq.store.connection import Client

ALIVE_S = 5  # if the bridge has not reported for this long, it counts as gone
WAS_ALIVE_S = 300  # for this long it may still be running: in an outage of Redis its reports do not arrive
_POSITIONS_KEPT_S = 86_400.0


@dataclass
class Counters:
    """The bridge's counters since its start. All of them only grow, except ``lost`` and ``buffered``."""

    received: int = 0  # datagrams taken from the socket
    applied: int = 0  # messages written to a record
    malformed: int = 0  # datagrams that are not a valid message, and messages with a payload of the wrong type
    unknown_id: int = 0  # messages of a publisher id that the site does not have; dropped
    registers: int = 0  # values of registers that smurf servers have published
    server_files: int = 0  # g3 files that smurf servers have closed
    idle: int = 0  # messages that were assigned to no run; dropped
    duplicate: int = 0  # second copies of a message; dropped
    lost: int = 0  # messages that are missing according to the sequence numbers; a late message reduces it by one
    buffered: int = 0  # datagrams received and not yet applied, without values of registers alone
    buffered_dropped: int = 0  # datagrams dropped because the bridge's own buffer was full
    kernel_dropped: int = 0  # datagrams dropped by the kernel because the socket's buffer was full
    refused: int = 0  # messages that Redis rejected
    failed: int = 0  # datagrams on which the bridge itself failed
    relayed: int = 0  # datagrams forwarded
    relay_failed: int = 0  # datagrams that could not be forwarded


@dataclass(frozen=True)
class Health:
    """The bridge's latest report of its health."""

    pid: int
    host: str
    started: float  # s since 1970
    address: str
    receive_buffer_bytes: int
    counters: Counters
    relay: str | None = None


class BridgeBoard:
    """The bridge's health in Redis. The bridge writes it each second; any process can read it."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def show(self, health: Health) -> None:
        """Write the health; it expires after ``ALIVE_S`` seconds."""
        values = asdict(health)
        values.update(values.pop("counters"))
        with self._client.pipeline(transaction=True) as pipe:
            pipe.hset(keys.BRIDGE, mapping={name: dumps(value) for name, value in values.items()})
            pipe.expire(keys.BRIDGE, ALIVE_S)
            pipe.set(keys.BRIDGE_WAS_ALIVE, health.pid, ex=WAS_ALIVE_S)
            pipe.execute()

    def health(self) -> Health | None:
        """Return the bridge's health; None if the bridge has not reported for ``ALIVE_S`` seconds."""
        found: Mapping[str, str] = self._client.hgetall(keys.BRIDGE)  # type: ignore[assignment]
        if not found:
            return None
        values = {name: loads(text) for name, text in found.items()}
        counters = Counters(**_named(values, Counters))
        return Health(counters=counters, **_named(values, Health))

    def alive(self) -> bool:
        """Return whether the bridge has reported within the last ``ALIVE_S`` seconds."""
        return bool(self._client.exists(keys.BRIDGE))

    def expected(self) -> bool:
        """Return whether the bridge is alive, or was alive in the last ``WAS_ALIVE_S`` seconds and was not stopped."""
        return bool(self._client.exists(keys.BRIDGE, keys.BRIDGE_WAS_ALIVE))

    def is_behind(self) -> bool:
        """Return whether the bridge is alive and has received messages that it has not written yet."""
        health = self.health()
        return health is not None and health.counters.buffered > 0

    def clear(self) -> None:
        """Delete the bridge's report, so that it counts as gone before the report expires."""
        self._client.delete(keys.BRIDGE, keys.BRIDGE_WAS_ALIVE)


class Positions:
    """The last sequence number of each publisher, with which a new bridge can count the messages in between."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def queue(self, pipe: Pipeline, positions: Mapping[Source, Position]) -> None:
        """Add the command that writes ``positions`` to a pipeline."""
        if positions:
            texts: dict[Any, Any] = {_source_text(source): dumps(list(at)) for source, at in positions.items()}
            pipe.hset(keys.BRIDGE_POSITIONS, mapping=texts)

    def prune(self) -> None:
        """Delete the positions that ``read`` would not return, if there are many."""
        if int(self._client.hlen(keys.BRIDGE_POSITIONS)) > 2 * SOURCES_KEPT:
            self.read()

    def read(self) -> dict[Source, Position]:
        """Return the newest positions, the oldest first; delete those of sources that have long been silent."""
        texts: Mapping[str, str] = self._client.hgetall(keys.BRIDGE_POSITIONS)  # type: ignore[assignment]
        found = {source: Position(*loads(text)) for source, text in texts.items()}
        newest_first = sorted(found, key=lambda source: found[source].time, reverse=True)
        earliest = time.time() - _POSITIONS_KEPT_S
        kept = [source for source in newest_first[:SOURCES_KEPT] if found[source].time >= earliest]
        stale = found.keys() - set(kept)
        if stale:
            self._client.hdel(keys.BRIDGE_POSITIONS, *stale)
        return {_source_of(source): found[source] for source in reversed(kept)}


def _source_text(source: Source) -> str:
    address, *names = source
    return dumps([address.hex(), *names])


def _source_of(text: str) -> Source:
    address, host, script, publisher = loads(text)
    return (bytes.fromhex(address), host, script, publisher)


def _named(values: Mapping[str, Any], record: type) -> dict[str, Any]:
    return {item.name: values[item.name] for item in fields(record) if item.name in values}
