"""Reads Redis streams, and decodes redis-py's answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smurfq.store.connection import Client

Entry = tuple[str, dict[str, str]]


def read_after(client: Client, key: str, position: str, *, count: int, block_ms: int) -> list[Entry]:
    """Return the entries of a stream after ``position``; block for at most ``block_ms`` if there are none."""
    return read_each_after(client, {key: position}, count=count, block_ms=block_ms).get(key, [])


def read_each_after(
    client: Client, positions: Mapping[str, str], *, count: int, block_ms: int | None
) -> dict[str, list[Entry]]:
    """Return at most ``count`` entries after the position of each stream that has any.

    This is one read for all streams. It blocks for at most ``block_ms``; without ``block_ms`` it returns at once.
    """
    streams: dict[Any, Any] = {**positions}
    answer: Any = client.xread(streams, count=count, block=block_ms)
    if isinstance(answer, dict):  # RESP3: {key: [entries]}
        return {key: [entry for entries in parts for entry in entries] for key, parts in answer.items()}
    return dict(answer or ())  # RESP2: [[key, entries]]


def read_newest(client: Client, key: str, count: int, end: str = "+") -> list[Entry]:
    """Return the newest ``count`` entries of a stream up to ``end``, newest first."""
    answer: Any = client.xrevrange(key, end, count=count)
    return list(answer)
