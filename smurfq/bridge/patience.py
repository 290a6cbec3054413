"""Waiting for Redis while it is away, and saying so once."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from smurfq.errors import StoreUnavailableError
from smurfq.store.connection import patiently

T = TypeVar("T")
_PAUSE_WHEN_STOPPING_S = 0.1


class Patience:
    """Calls Redis again until it answers; after ``stopping`` is set, for ``flush_s`` more."""

    def __init__(self, log: logging.Logger, stopping: threading.Event, flush_s: float) -> None:
        self._log = log
        self._stopping = stopping
        self._flush_s = flush_s
        self._away_since: float | None = None
        self._give_up_at: float | None = None

    def __call__(self, call: Callable[[], T]) -> T:
        """What ``call`` returns, called again for as long as Redis is away.

        Raises
        ------
        StoreUnavailableError
            The bridge is stopping, and Redis did not come back in time.
        """
        answer = patiently(call, on_wait=self.away, pause=self._pause)
        self.back()
        return answer

    @property
    def is_away(self) -> bool:
        """Whether Redis did not answer when it was asked last."""
        return self._away_since is not None

    def back(self) -> None:
        """Note that Redis answered."""
        since, self._away_since = self._away_since, None
        if since is not None:
            self._log.warning("Redis is back after %.1f s", time.monotonic() - since)

    def away(self, cause: BaseException) -> None:
        """Note that Redis did not answer; said once an outage."""
        if self._away_since is None:
            self._away_since = time.monotonic()
            self._log.error("Redis is away (%s); messages are kept until it is back", cause)

    def _pause(self, wait_s: float) -> None:
        if not self._stopping.wait(wait_s):
            return
        if self._give_up_at is None:
            self._give_up_at = time.monotonic() + self._flush_s
        if time.monotonic() > self._give_up_at:
            raise StoreUnavailableError(f"Redis did not come back within {self._flush_s:.0f} s of the bridge's stop")
        time.sleep(min(wait_s, _PAUSE_WHEN_STOPPING_S))
