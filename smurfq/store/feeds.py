"""Feeds: named time series of small blocks, one Redis stream each."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from smurfq.core import keys
from smurfq.core.jsonsafe import dumps, loads
from smurfq.store.connection import Client
from smurfq.store.streams import read_after, read_newest

G3_FILES: Final = "g3_files"  # the files that the smurf servers have closed, and the runs that streamed them
REGISTERS: Final = "registers"  # the registers of the smurf servers whose values have changed
BLOCKS_KEPT: Final = 100_000
_PAGE: Final = 1000
_BLOCK_MS: Final = 5_000


@dataclass(frozen=True)
class Block:
    """One block of a feed. ``block_name`` is the feed's name, ``position`` the id of the entry in its stream."""

    block_name: str
    timestamp: float
    slot: str
    data: dict[str, Any] = field(default_factory=dict)
    position: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the block in OCS's format, with its slot."""
        return {
            "block_name": self.block_name,
            "timestamp": self.timestamp,
            "slot": self.slot,
            "data": self.data,
        }


class Feeds:
    """The feeds of a site. Writers keep a block for ``expires_s``, and at most ``kept`` blocks of a feed."""

    def __init__(self, client: Client, expires_s: float = math.inf, kept: int = BLOCKS_KEPT) -> None:
        self._client = client
        self._expires_s = expires_s
        self._kept = kept

    def append(self, name: str, slot: str, timestamp: float, data: Mapping[str, Any]) -> str:
        """Add a block to the feed ``name``, drop blocks that are too old or too many, and return its position."""
        fields: dict[Any, Any] = {"slot": slot, "timestamp": dumps(timestamp), "data": dumps(data)}
        with self._client.pipeline(transaction=True) as pipe:
            pipe.xadd(keys.feed(name), fields, maxlen=self._kept, approximate=True)
            pipe.hset(keys.feed_last(name), slot, dumps({"timestamp": timestamp, "data": dict(data)}))
            if self._expires_s < math.inf:
                oldest_ms = int(1000 * (time.time() - self._expires_s))
                pipe.xtrim(keys.feed(name), minid=oldest_ms, approximate=False)
                for key in (keys.feed(name), keys.feed_last(name)):  # a feed without new blocks expires as a whole
                    pipe.pexpire(key, int(1000 * self._expires_s))
            position, *_ = pipe.execute()
        return str(position)

    def last(self, name: str) -> list[Block]:
        """The last block of each slot in a feed."""
        found: Any = self._client.hgetall(keys.feed_last(name))
        return [Block(name, slot=slot, **loads(text)) for slot, text in sorted(found.items())]

    def latest(self, name: str, count: int = 1, slot: str | None = None) -> list[Block]:
        """The newest ``count`` blocks of a feed, of all slots or of one, newest first."""
        if slot is not None and not self._client.hexists(keys.feed_last(name), slot):
            return []
        found: list[Block] = []
        end = "+"
        while len(found) < count:
            entries = read_newest(self._client, keys.feed(name), count if slot is None else _PAGE, end)
            if not entries:
                break
            blocks = [_block(name, position, fields) for position, fields in entries]
            found += [block for block in blocks if slot in (None, block.slot)]
            end = f"({entries[-1][0]}"
        return found[:count]

    def subscribe(self, name: str, position: str = "$", block_ms: int = _BLOCK_MS) -> Iterator[Block | None]:
        """Yield the blocks after ``position`` (default: from now on), and None if none came for ``block_ms``.

        It never ends by itself. It reads the stream with a blocking read, without polling.
        """
        key = keys.feed(name)
        if position == "$":  # otherwise it would miss blocks that come between two reads
            newest = read_newest(self._client, key, 1)
            position = newest[0][0] if newest else "0-0"
        while True:
            entries = read_after(self._client, key, position, count=100, block_ms=block_ms)
            if not entries:
                yield None
            for entry_id, fields in entries:
                position = entry_id
                yield _block(name, position, fields)


def _block(name: str, position: str, fields: Mapping[str, str]) -> Block:
    return Block(name, loads(fields["timestamp"]), fields["slot"], loads(fields["data"]), position)
