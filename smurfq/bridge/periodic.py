"""Runs the bridge's periodic jobs, whatever arrives."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from smurfq.bridge.complaints import Complaints

_SHORTEST_WAIT_S = 0.01
_LONGEST_WAIT_S = 1.0


class Periodic(threading.Thread):
    """Runs each job when it is due, one after the other. A job that fails is run again at its next time."""

    def __init__(self, complaints: Complaints, log: logging.Logger) -> None:
        super().__init__(name="periodic", daemon=True)
        self._complaints = complaints
        self._log = log
        self._jobs: list[tuple[float, Callable[[], object]]] = []
        self._due: list[float] = []
        self._finishing = threading.Event()

    def every(self, seconds: float, job: Callable[[], object]) -> None:
        """Run ``job`` now and every ``seconds``; call this before ``start``."""
        self._jobs.append((seconds, job))
        self._due.append(0.0)

    def finish(self) -> None:
        """End after the present job."""
        self._finishing.set()

    def run(self) -> None:
        """Run the jobs until told to stop."""
        wait_s = 0.0
        while not self._finishing.wait(wait_s):
            for index, (seconds, job) in enumerate(self._jobs):
                now = time.monotonic()
                if now >= self._due[index]:
                    self._due[index] = now + seconds
                    self._run(job)
            wait_s = max(_SHORTEST_WAIT_S, min([_LONGEST_WAIT_S, *self._due]) - time.monotonic()) if self._due else 1.0

    def _run(self, job: Callable[[], object]) -> None:
        try:
            job()
        except Exception as cause:  # noqa: BLE001 the thread's rim: one job must not end the others
            name = getattr(job, "__qualname__", repr(job))
            self._complaints.add(f"periodic job {name} failed", f"{type(cause).__name__}: {cause}")
            self._log.debug("%s failed", name, exc_info=True)
