"""Logs bad input at most once in ten seconds for each kind, with its count."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

INTERVAL_S = 10.0


class Complaints:
    """Complaints of one process, each kind said at once and then at most once in ``INTERVAL_S``."""

    def __init__(self, log: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._due: dict[str, float] = {}
        self._unsaid: dict[str, tuple[int, str]] = {}

    def add(self, kind: str, hint: str, count: int = 1) -> None:
        """Complain, now or with the next line that is due. ``hint``: what came, and what to do."""
        before, _ = self._unsaid.get(kind, (0, ""))
        self._unsaid[kind] = (before + count, hint)
        if self._clock() >= self._due.get(kind, 0.0):
            self._say(kind)

    def say_due(self) -> None:
        """Say what is left unsaid and due."""
        now = self._clock()
        for kind in list(self._unsaid):
            if now >= self._due.get(kind, 0.0):
                self._say(kind)

    def _say(self, kind: str) -> None:
        # None: another thread has just said it.
        count, hint = self._unsaid.pop(kind, (0, ""))
        if count:
            self._due[kind] = self._clock() + INTERVAL_S
            self._log.warning("%s (%d): %s", kind, count, hint)
