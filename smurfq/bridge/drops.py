"""Counts the datagrams that the kernel or the bridge dropped, and says so in the records of the present runs."""

from __future__ import annotations

import time
from collections.abc import Callable

from smurfq.bridge.buffer import Buffer
from smurfq.bridge.complaints import Complaints
from smurfq.bridge.steps import Steps
from smurfq.store.bridge import Counters

_NOTICE_EVERY_S = 1.0


class Drops:
    """Follows a count of dropped datagrams that is kept elsewhere, to tell how much it has grown since a time."""

    def __init__(self, count: Callable[[], int]) -> None:
        self._count = count
        self._steps = Steps()
        self._last = 0

    def grown(self, now: float) -> int:
        """Return the growth of the count since the last call."""
        count = self._count()
        grown, self._last = count - self._last, count
        if grown:
            self._steps.add(grown, now)
        return grown

    def since(self, start: float) -> int:
        """Return the growth of the count since ``start``."""
        return self._steps.since(start)


class DropNotices:
    """Notices in the records that datagrams were dropped, at most one a second."""

    def __init__(
        self,
        buffer: Buffer,
        counters: Counters,
        complaints: Complaints,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.kernel = Drops(lambda: counters.kernel_dropped)
        self.buffered = Drops(lambda: buffer.dropped)
        self._buffer, self._counters, self._complaints, self._clock = buffer, counters, complaints, clock
        self._unwritten = (0, 0)
        self._next_at = 0.0

    def text(self, *, at_once: bool = False) -> str:
        """The notice that is to be written now; empty if none is. ``at_once``: even if one was written just before."""
        now = self._clock()
        self._counters.buffered_dropped = self._buffer.dropped
        kernel, buffered = self._unwritten
        kernel, buffered = self._unwritten = (kernel + self.kernel.grown(now), buffered + self.buffered.grown(now))
        if not (kernel or buffered) or not (at_once or now >= self._next_at):
            return ""
        where = [f"{kernel} by the kernel (the socket's buffer was full)"] if kernel else []
        where += [f"{buffered} by the bridge (its own buffer was full)"] if buffered else []
        return f"datagrams of all publishers dropped meanwhile: {', '.join(where)}"

    def written(self, text: str) -> None:
        """Note that ``text`` is in the records, and log it."""
        self._complaints.add("dropped", text, sum(self._unwritten))
        self._unwritten = (0, 0)
        self._next_at = self._clock() + _NOTICE_EVERY_S
