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
    """A process: its number, the boot in which it was started, and when, in clock ticks since that boot.

    In JSON it is the list of the three.
    """

    pid: int
    boot: str
    start_ticks: int

    @classmethod
    def of(cls, pid: int) -> ProcessId | None:
        """The process that has this number now; None if there is none."""
        found = _state_and_start(pid)
        return None if found is None else cls(pid, _boot(), found[1])

    @classmethod
    def parse(cls, value: Any) -> ProcessId | None:
        """The process that JSON names; None for what does not name one, as an earlier version's time of day."""
        match value:
            case [int(pid), str(boot), int(start_ticks)]:
                return cls(pid, boot, start_ticks)
        return None

    @property
    def alive(self) -> bool:
        """Whether this process is there, and is not a zombie."""
        found = _state_and_start(self.pid)
        return found is not None and found[0] not in _DEAD and (_boot(), found[1]) == (self.boot, self.start_ticks)

    def send(self, number: signal.Signals) -> bool:
        """Send a signal to this process; false if it is gone, even if another process has its number by now."""
        with contextlib.suppress(ProcessLookupError), opened(self.pid) as descriptor:
            if self.alive:
                signal.pidfd_send_signal(descriptor, number)
                return True
        return False


@contextlib.contextmanager
def opened(pid: int) -> Iterator[int]:
    """A pidfd of the process that has this number now: what is checked within stays true of the process signalled.

    Raises
    ------
    ProcessLookupError
        No process has this number.
    """
    descriptor = os.pidfd_open(pid)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def stat_fields(pid: int) -> list[str] | None:
    """The fields of ``/proc/PID/stat`` after the process's name, the state first; None if there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()  # the name, in parentheses, may itself have spaces and parentheses


def _state_and_start(pid: int) -> tuple[str, int] | None:
    fields = stat_fields(pid)
    return None if fields is None else (fields[0], int(fields[19]))


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:  # a sandbox without it: the ticks alone then tell processes apart
        return ""
