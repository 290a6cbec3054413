"""Logs each kind of bad input at most once in ten seconds, with its count."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

INTERVAL_S = 10.0


class Complaints:
    """Warnings of one process. The first of a kind is logged at once, the others together every ``INTERVAL_S``."""

    def __init__(self, log: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._due: dict[str, float] = {}
        self._unsaid: dict[str, tuple[int, str]] = {}

    def add(self, kind: str, hint: str, count: int = 1) -> None:
        """Log a warning, now or with the next one that is due. ``hint`` says what came, and what to do."""
        before, _ = self._unsaid.get(kind, (0, ""))
        self._unsaid[kind] = (before + count, hint)
        if self._clock() >= self._due.get(kind, 0.0):
            self._say(kind)

    def say_due(self) -> None:
        """Log the warnings that are due."""
        now = self._clock()
        for kind in list(self._unsaid):
            if now >= self._due.get(kind, 0.0):
                self._say(kind)

    def _say(self, kind: str) -> None:
        # It is gone if another thread has just logged it.
        count, hint = self._unsaid.pop(kind, (0, ""))
        if count:
            self._due[kind] = self._clock() + INTERVAL_S
            self._log.warning("%s (%d): %s", kind, count, hint)
