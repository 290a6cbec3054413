"""Watches a process of a site, and restarts it when it dies, after a pause that grows up to a limit."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Literal

from smurfq.core.process_id import ProcessId
from smurfq.site.child import Child
from smurfq.site.journal import Entry

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
_STEADY_S = 60.0  # after so long alive, a death counts as the first again

Say = Callable[[str], None]


class Watched:
    """A child process with its restarts."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.state: Literal["down", "starting", "ready"] = "down"
        self.deaths = 0
        self._start_at: float | None = None  # monotonic

    @property
    def name(self) -> str:
        """Return the name of the service."""
        return self.child.service.name

    def start(self) -> None:
        """Start the process."""
        self.child.start()
        self.state = "starting"

    def look(self, say: Say) -> bool:
        """Check the process once, and restart it when due. Return whether something changed."""
        if self.state == "down":
            if self._start_at is None or time.monotonic() < self._start_at:
                return False
            self.start()
        elif not self.child.running:
            self._died(say)
        elif self.state == "starting" and self.child.ready():
            self.state = "ready"
            say(f"{self.name} is ready ({self.child.lived_s:.1f} s): {self.child.service.where}")
        else:
            return False
        return True

    def end(self) -> str:
        """Describe how the process ended, with the end of its log."""
        code = self.child.exit_code
        how = f"by {signal.Signals(-code).name}" if code is not None and code < 0 else f"with exit code {code}"
        return self.with_tail(f"{self.name} (process {self.child.pid}) ended {how}")

    def with_tail(self, text: str) -> str:
        """Return ``text`` followed by the last lines of the log."""
        lines = [f"    {line}" for line in self.child.log_tail()]
        return "\n".join([f"{text}; log: {self.child.log_path}", *lines])

    def entry(self) -> Entry:
        """Return the process as an entry of the journal."""
        return Entry(
            name=self.name,
            where=self.child.service.where,
            log=str(self.child.log_path),
            state=self.state,
            who=ProcessId.of(self.child.pid) if self.child.pid and self.child.running else None,
        )

    def _died(self, say: Say) -> None:
        self.state = "down"
        self.deaths = 1 if self.child.lived_s > _STEADY_S else self.deaths + 1
        pause_s = min(FIRST_PAUSE_S * 2 ** (self.deaths - 1), LONGEST_PAUSE_S)
        self._start_at = time.monotonic() + pause_s
        say(f"{self.end()}\n{self.name} will be restarted in {pause_s:.0f} s")
