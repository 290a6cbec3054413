"""Identifies a process of this host by values that a change of the clock does not affect."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

_DEAD = ("Z", "X")


class ProcessId(NamedTuple):
    """A process: its PID, the id of the boot, and its start time in clock ticks since that boot.

    In JSON it is a list of these three.
    """

    pid: int
    boot: str
    start_ticks: int

    @classmethod
    def of(cls, pid: int) -> ProcessId | None:
        """Return the process that has this PID now, or None."""
        found = _state_and_start(pid)
        return None if found is None else cls(pid, _boot(), found[1])

    @classmethod
    def parse(cls, value: Any) -> ProcessId | None:
        """Return the process that a JSON value identifies, or None if it identifies none."""
        match value:
            case [int(pid), str(boot), int(start_ticks)]:
                return cls(pid, boot, start_ticks)
        return None

    @property
    def alive(self) -> bool:
        """Return whether this process exists and is not a zombie."""
        found = _state_and_start(self.pid)
        return found is not None and found[0] not in _DEAD and (_boot(), found[1]) == (self.boot, self.start_ticks)

    def send(self, number: signal.Signals) -> bool:
        """Send a signal to this process. Return false if it has ended, even if another process has its PID now."""
        with contextlib.suppress(ProcessLookupError), opened(self.pid) as descriptor:
            if self.alive:
                signal.pidfd_send_signal(descriptor, number)
                return True
        return False


@contextlib.contextmanager
def opened(pid: int) -> Iterator[int]:
    """Open a pidfd of the process that has this PID now.

    A signal through it reaches the process that was checked while it was open, even if the PID is used again.

    Raises
    ------
    ProcessLookupError
        No process has this PID.
    """
    descriptor = os.pidfd_open(pid)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def stat_fields(pid: int) -> list[str] | None:
    """Return the fields of ``/proc/PID/stat`` after the name, from the state on; None if the process does not exist."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()  # the name, in parentheses, may contain spaces and parentheses


def _state_and_start(pid: int) -> tuple[str, int] | None:
    fields = stat_fields(pid)
    return None if fields is None else (fields[0], int(fields[19]))


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:  # a sandbox without this file: the start time alone then identifies a process
        return ""
