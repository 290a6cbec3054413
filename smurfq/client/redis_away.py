"""Tolerates that Redis is away while runs are read: the reader tries again, after pauses that become longer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from smurfq.store.connection import AWAY

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 0.5


class RedisAway:
    """Whether Redis is away for a reader; ``cause`` says why, and is None while Redis answers."""

    def __init__(self, pause: Callable[[float], None] = time.sleep) -> None:
        self.cause: Exception | None = None
        self._pause = pause
        self._pause_s = _FIRST_PAUSE_S

    @contextmanager
    def tolerated(self, left_s: float = float("inf")) -> Iterator[None]:
        """Run the block; if Redis is away in it, keep the cause and pause, for ``left_s`` at most, instead of raising.

        The caller runs the block again.
        """
        try:
            yield
        except AWAY as cause:
            self.cause = cause
            self._pause(max(0.0, min(self._pause_s, left_s)))
            self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        else:
            self.cause, self._pause_s = None, _FIRST_PAUSE_S
