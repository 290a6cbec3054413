"""Counters that know when they grew, so that they can tell how much came since a run began."""

from __future__ import annotations

from collections import deque

STEPS_KEPT = 1000
MERGED_S = 0.1  # steps that follow each other faster are merged


class Steps:
    """A count, and the times at which it grew, in s of one clock."""

    def __init__(self) -> None:
        self._steps: deque[tuple[float, int]] = deque(maxlen=STEPS_KEPT)  # time, count from then on
        self._count = 0

    def add(self, grown: int, at: float) -> None:
        """Add ``grown``, which came at ``at``."""
        self._count += grown
        if self._steps and at - self._steps[-1][0] < MERGED_S:
            at, _ = self._steps.pop()
        self._steps.append((at, self._count))

    def since(self, start: float) -> int:
        """Return the count of arrivals at ``start`` or later."""
        before = 0
        for time, count in self._steps:
            if time >= start:
                return self._count - before
            before = count
        return 0


class Unowned:
    """Messages that belong to no run, counted by publisher id."""

    def __init__(self) -> None:
        self._steps: dict[str, Steps] = {}

    def add(self, publisher: str, at: float) -> None:
        """Count a message that arrived at ``at``."""
        self._steps.setdefault(publisher, Steps()).add(1, at)

    def since(self, publisher: str, start: float) -> int:
        """Return the number of messages that arrived at ``start`` or later."""
        steps = self._steps.get(publisher)
        return steps.since(start) if steps is not None else 0
