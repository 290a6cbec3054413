"""Requests to a running operation: ``stop`` (a process ends and succeeds) and ``abort``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, cast

from smurfq.core import keys
from smurfq.store.connection import Client
from smurfq.store.streams import read_after

Verb = Literal["stop", "abort", "closed"]  # "closed" ends a subscription
_EXPIRES_S = 7 * 86400


@dataclass(frozen=True)
class Request:
    """One request to a running operation."""

    verb: Verb
    by: str = ""
    reason: str = ""
    time: float = 0.0
    grace_s: float | None = None  # replaces the configured grace times
    delay_s: float = 0.0  # time that the operation is given to end by itself first


class ControlRequests:
    """The stream of requests to each operation."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def ask(self, task_id: str, request: Request) -> None:
        """Send a request to an operation. If the operation has not started, it receives the request at its start."""
        fields: dict[str, str | float] = {
            "verb": request.verb,
            "by": request.by,
            "reason": request.reason,
            "time": request.time or time.time(),
        }
        if request.grace_s is not None:
            fields["grace_s"] = request.grace_s
        if request.delay_s:
            fields["delay_s"] = request.delay_s
        with self._client.pipeline(transaction=True) as pipe:
            pipe.xadd(keys.control(task_id), fields, maxlen=100)  # type: ignore[arg-type]
            pipe.expire(keys.control(task_id), _EXPIRES_S)
            pipe.execute()

    def forget(self, task_id: str) -> None:
        """Delete the requests to an operation that has ended."""
        self._client.delete(keys.control(task_id))

    def subscribe(self, task_id: str, position: str = "0-0", block_ms: int = 1_000) -> Iterator[Request | None]:
        """Yield past and future requests to an operation, and ``None`` if none came for ``block_ms``."""
        while True:
            entries = read_after(self._client, keys.control(task_id), position, count=10, block_ms=block_ms)
            if not entries:
                yield None
            for entry_id, fields in entries:
                position = entry_id
                yield Request(
                    verb=cast(Verb, fields["verb"]),
                    by=fields.get("by", ""),
                    reason=fields.get("reason", ""),
                    time=float(fields.get("time", 0.0)),
                    grace_s=float(fields["grace_s"]) if "grace_s" in fields else None,
                    delay_s=float(fields.get("delay_s", 0.0)),
                )
