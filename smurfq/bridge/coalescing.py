"""Decides how long to collect messages before a write, because a write costs as much as dozens of messages."""

from __future__ import annotations

import time
from collections.abc import Callable

WRITES_PER_S = 200.0  # so many writes a second are done without a pause
BURST = 100.0
PAUSE_S = 0.004
PROBE_AFTER = 50


class Coalescing:
    """Says how long to pause after a write: not at all if there are few writes, or if a pause collects nothing.

    A publisher that waits for each message to be seen before it sends the next is not slowed down: after a pause that
    collected no more than one message, the next pause comes ``PROBE_AFTER`` writes later.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._credit = BURST
        self._at = clock()
        self._paused = False
        self._fruitless = 0  # writes left until pausing is tried again

    def pause_s(self, taken: int, more: bool) -> float:
        """Return the pause after ``taken`` messages were written. ``more`` is true if other messages are waiting."""
        now = self._clock()
        self._credit = min(BURST, self._credit + (now - self._at) * WRITES_PER_S) - 1
        self._at = now
        if self._paused and taken <= 1:
            self._fruitless = PROBE_AFTER
        self._paused = False
        if more or self._credit > 0:
            return 0.0
        self._credit = 0.0
        if self._fruitless:
            self._fruitless -= 1
            return 0.0
        self._paused = True
        return PAUSE_S
