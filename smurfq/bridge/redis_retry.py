"""Waits for Redis while it is away, and only for a short time once the bridge is told to stop."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from smurfq.errors import StoreUnavailableError
from smurfq.store import patiently
from smurfq.store.outage import Outage

T = TypeVar("T")
_PAUSE_WHEN_STOPPING_S = 0.1


class RedisRetry(Outage):
    """Calls Redis again until it answers, or until ``flush_s`` after ``stopping`` was set."""

    def __init__(self, log: logging.Logger, stopping: threading.Event, flush_s: float, url: str = "") -> None:
        super().__init__(url, "messages are kept until it is back", log)
        self._stopping = stopping
        self._flush_s = flush_s
        self._give_up_at: float | None = None

    def __call__(self, call: Callable[[], T]) -> T:
        """Return what ``call`` returns, called again for as long as Redis is away.

        Raises
        ------
        StoreUnavailableError
            The bridge is stopping, and Redis did not come back in time.
        """
        return patiently(call, outage=self, pause=self._pause)

    def _pause(self, wait_s: float) -> None:
        if not self._stopping.wait(wait_s):
            return
        if self._give_up_at is None:
            self._give_up_at = time.monotonic() + self._flush_s
        if time.monotonic() > self._give_up_at:
            raise StoreUnavailableError(f"Redis did not come back within {self._flush_s:.0f} s of the bridge's stop")
        time.sleep(min(wait_s, _PAUSE_WHEN_STOPPING_S))
