"""The reports of the bridges in Redis: their health, their counters, and the last number of each publisher."""

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
from smurfq.errors import StartError
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
    """A bridge's latest report of its health."""

    name: str
    pid: int
    host: str
    started: float  # s since 1970
    address: str
    receive_buffer_bytes: int
    counters: Counters
    relay: str | None = None


class BridgeBoard:
    """The health of the bridge ``name`` in Redis. The bridge writes it each second; any process can read it."""

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self._name = name
        self._key, self._was_alive = keys.bridge(name), keys.bridge_was_alive(name)

    def show(self, health: Health) -> None:
        """Write the health; it expires after ``ALIVE_S`` seconds."""
        values = asdict(health)
        values.update(values.pop("counters"))
        with self._client.pipeline(transaction=True) as pipe:
            pipe.hset(self._key, mapping={name: dumps(value) for name, value in values.items()})
            pipe.expire(self._key, ALIVE_S)
            pipe.set(self._was_alive, health.pid, ex=WAS_ALIVE_S)
            pipe.hset(keys.BRIDGES, self._name, health.host)
            pipe.execute()

    def health(self) -> Health | None:
        """Return the bridge's health; None if the bridge has not reported for ``ALIVE_S`` seconds."""
        return _health_of(self._client.hgetall(self._key))  # type: ignore[arg-type]

    def reject_other_host(self, host: str) -> None:
        """Check that no living bridge on another host has this name.

        Raises
        ------
        StartError
            One has.
        """
        health = self.health()
        if health is not None and health.host != host:
            raise StartError(
                f"the bridge on {health.host} has the same name {self._name!r}; give each bridge its own bridge.name"
            )

    def alive(self) -> bool:
        """Return whether the bridge has reported within the last ``ALIVE_S`` seconds."""
        return bool(self._client.exists(self._key))

    def expected(self) -> bool:
        """Return whether the bridge is alive, or was alive in the last ``WAS_ALIVE_S`` seconds and was not stopped."""
        return bool(self._client.exists(self._key, self._was_alive))

    def is_behind(self) -> bool:
        """Return whether the bridge is alive and has received messages that it has not written yet."""
        health = self.health()
        return health is not None and health.counters.buffered > 0

    def clear(self) -> None:
        """Delete the bridge's report, so that it counts as gone before the report expires."""
        with self._client.pipeline(transaction=True) as pipe:
            pipe.delete(self._key, self._was_alive)
            pipe.hdel(keys.BRIDGES, self._name)
            pipe.execute()


class Bridges:
    """All bridges of the site that were not stopped."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def health(self) -> dict[str, Health | None]:
        """Return the health of each bridge by name; None for one that has not reported for ``ALIVE_S`` seconds."""
        names = sorted(self._hosts())
        with self._client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hgetall(keys.bridge(name))
            return {name: _health_of(found) for name, found in zip(names, pipe.execute(), strict=True)}

    def living_hosts(self) -> set[str]:
        """Return the hosts on which a bridge has reported within the last ``ALIVE_S`` seconds."""
        hosts = self._hosts()
        with self._client.pipeline(transaction=False) as pipe:
            for name in hosts:
                pipe.exists(keys.bridge(name))
            return {host for host, alive in zip(hosts.values(), pipe.execute(), strict=True) if alive}

    def _hosts(self) -> Mapping[str, str]:
        return self._client.hgetall(keys.BRIDGES)  # type: ignore[return-value]


class Positions:
    """The last sequence number of each publisher of the bridge ``name``.

    With them, the next bridge of this name can count the messages in between.
    """

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self.key = keys.bridge_positions(name)

    def queue(self, pipe: Pipeline, positions: Mapping[Source, Position]) -> None:
        """Add the command that writes ``positions`` to a pipeline."""
        if positions:
            texts: dict[Any, Any] = {_source_text(source): dumps(list(at)) for source, at in positions.items()}
            pipe.hset(self.key, mapping=texts)

    def prune(self) -> None:
        """Delete the positions that ``read`` would not return, if there are many."""
        if int(self._client.hlen(self.key)) > 2 * SOURCES_KEPT:
            self.read()

    def read(self) -> dict[Source, Position]:
        """Return the newest positions, the oldest first; delete those of sources that have long been silent."""
        texts: Mapping[str, str] = self._client.hgetall(self.key)  # type: ignore[assignment]
        found = {source: Position(*loads(text)) for source, text in texts.items()}
        newest_first = sorted(found, key=lambda source: found[source].time, reverse=True)
        earliest = time.time() - _POSITIONS_KEPT_S
        kept = [source for source in newest_first[:SOURCES_KEPT] if found[source].time >= earliest]
        stale = found.keys() - set(kept)
        if stale:
            self._client.hdel(self.key, *stale)
        return {_source_of(source): found[source] for source in reversed(kept)}


def _health_of(found: Mapping[str, str]) -> Health | None:
    if not found:
        return None
    values = {name: loads(text) for name, text in found.items()}
    return Health(counters=Counters(**_named(values, Counters)), **_named(values, Health))


def _source_text(source: Source) -> str:
    address, *names = source
    return dumps([address.hex(), *names])


def _source_of(text: str) -> Source:
    address, host, script, publisher = loads(text)
    return (bytes.fromhex(address), host, script, publisher)


def _named(values: Mapping[str, Any], record: type) -> dict[str, Any]:
    return {item.name: values[item.name] for item in fields(record) if item.name in values}
