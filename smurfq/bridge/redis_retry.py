"""Waits for Redis while it is away, and logs this once."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from smurfq.errors import StoreUnavailableError
from smurfq.store.connection import explain, patiently, takes_no_writes

T = TypeVar("T")
_PAUSE_WHEN_STOPPING_S = 0.1


class RedisRetry:
    """Calls Redis again until it answers, or until ``flush_s`` after ``stopping`` was set."""

    def __init__(self, log: logging.Logger, stopping: threading.Event, flush_s: float, url: str = "") -> None:
        self._log = log
        self._url = url
        self._stopping = stopping
        self._flush_s = flush_s
        self._away_since: float | None = None
        self._refuses = False
        self._give_up_at: float | None = None

    def __call__(self, call: Callable[[], T]) -> T:
        """What ``call`` returns; it is called again for as long as Redis is away.

        Raises
        ------
        StoreUnavailableError
            The bridge is stopping, and Redis did not come back in time.
        """
        waited = False

        def wait(cause: BaseException) -> None:
            nonlocal waited
            waited = True
            self.away(cause)

        answer = patiently(call, on_wait=wait, pause=self._pause)
        if waited or not self._refuses:  # a Redis that accepts no writes still answers to reads
            self.back()
        return answer

    @property
    def is_away(self) -> bool:
        """Whether Redis did not answer when it was asked last."""
        return self._away_since is not None

    def back(self) -> None:
        """Note that Redis answered, and accepts writes."""
        since, self._away_since = self._away_since, None
        self._refuses = False
        if since is not None:
            self._log.warning("Redis is back after %.1f s", time.monotonic() - since)

    def away(self, cause: BaseException) -> None:
        """Note that Redis did not answer, or accepts no writes; this is logged once an outage."""
        self._refuses = takes_no_writes(cause)
        if self._away_since is None:
            self._away_since = time.monotonic()
            self._log.error("Redis is away: %s; messages are kept until it is back", explain(self._url, cause))

    def _pause(self, wait_s: float) -> None:
        if not self._stopping.wait(wait_s):
            return
        if self._give_up_at is None:
            self._give_up_at = time.monotonic() + self._flush_s
        if time.monotonic() > self._give_up_at:
            raise StoreUnavailableError(f"Redis did not come back within {self._flush_s:.0f} s of the bridge's stop")
        time.sleep(min(wait_s, _PAUSE_WHEN_STOPPING_S))
