"""Reads Redis streams, and decodes redis-py's answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smurfq.store.connection import Client

Entry = tuple[str, dict[str, str]]


def read_after(client: Client, key: str, position: str, *, count: int, block_ms: int) -> list[Entry]:
    """The entries of a stream after ``position``; none if none came within ``block_ms``. It blocks, not polls."""
    return read_each_after(client, {key: position}, count=count, block_ms=block_ms).get(key, [])


def read_each_after(
    client: Client, positions: Mapping[str, str], *, count: int, block_ms: int | None
) -> dict[str, list[Entry]]:
    """The entries of each stream after its position, of the streams that have any; ``count`` of each at most.

    It is one read for all, which blocks for at most ``block_ms``; without ``block_ms`` it returns at once.
    """
    streams: dict[Any, Any] = {**positions}
    answer: Any = client.xread(streams, count=count, block=block_ms)
    if isinstance(answer, dict):  # RESP3: {key: [entries]}
        return {key: [entry for entries in parts for entry in entries] for key, parts in answer.items()}
    return dict(answer or ())  # RESP2: [[key, entries]]


def read_newest(client: Client, key: str, count: int, end: str = "+") -> list[Entry]:
    """The newest ``count`` entries of a stream up to ``end``, newest first."""
    answer: Any = client.xrevrange(key, end, count=count)
    return list(answer)
