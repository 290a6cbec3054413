"""Reads Redis streams, and decodes redis-py's answers."""

from __future__ import annotations

from typing import Any

from smurfq.store.connection import Client

Entry = tuple[str, dict[str, str]]


def read_after(client: Client, key: str, position: str, *, count: int, block_ms: int) -> list[Entry]:
    """The entries of a stream after ``position``; none if none came within ``block_ms``. It blocks, not polls."""
    answer: Any = client.xread({key: position}, count=count, block=block_ms)
    if not answer:
        return []
    if isinstance(answer, dict):  # RESP3: {key: [entries]}
        return [entry for entries in answer[key] for entry in entries]
    return [entry for _, entries in answer for entry in entries]  # RESP2: [[key, entries]]


def read_newest(client: Client, key: str, count: int, end: str = "+") -> list[Entry]:
    """The newest ``count`` entries of a stream up to ``end``, newest first."""
    answer: Any = client.xrevrange(key, end, count=count)
    return list(answer)
