"""Finds and ends the orphans of operations: processes that an operation started and that outlived its worker.

One rule finds them everywhere: a process belongs to an operation if it has the operation's mark (``operation_mark``),
has the operation's id in its environment, or has the card's lock open.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from smurfq.core.process_id import ProcessId, opened
from smurfq.host.operation_mark import mark_of, mark_on, same_card

SESSION_VARIABLE = "SMURF_SESSION_ID"  # in the environment of an operation and of all that it starts
_POLL_S = 0.02
_LOOKS = 2  # that must find nothing: /proc is not read in one moment, and an overlooked process drives the card on
_END_WITHIN_S = 5.0


@dataclass(frozen=True)
class Ended:
    """The processes that were ended, and those that could not be, each as "name (pid)"."""

    ended: list[str] = field(default_factory=list)
    remaining: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.ended or self.remaining)

    def describe(self, whose: str) -> str:
        """Return in words which processes were ended, for a record."""
        parts = [f"ended processes that {whose} had left behind: {', '.join(self.ended)}"] if self.ended else []
        if self.remaining:
            parts.append(
                f"processes that {whose} had left behind cannot be ended by this user: {', '.join(self.remaining)}"
            )
        return "; ".join(parts)


def end_orphans(session_id: str, lock: Path, within_s: float = _END_WITHIN_S) -> Ended:
    """End every process on this host that belongs to an operation that is over, or has its card's lock open."""
    return _end(_of_operation(session_id, lock), within_s)


def end_orphans_of_card(lock: Path, within_s: float = _END_WITHIN_S) -> Ended:
    """End every process on this host with the mark of any operation of a card; the caller holds the card's lock."""
    mark = mark_of(lock, "")
    return _end(lambda pid: same_card(mark_on(pid) or 0, mark) and _lives(pid), within_s)


def orphans_of(session_id: str, lock: Path) -> list[int]:
    """Return the other processes on this host that belong to an operation or have its card's lock open."""
    return _find(_of_operation(session_id, lock))


def _of_operation(session_id: str, lock: Path) -> Callable[[int], bool]:
    mark, path = mark_of(lock, session_id), str(lock.resolve())
    variable = f"{SESSION_VARIABLE}={session_id}".encode()

    def belongs(pid: int) -> bool:
        return (mark_on(pid) == mark or _has_variable(pid, variable) or _has_open(pid, path)) and _lives(pid)

    return belongs


def _find(belongs: Callable[[int], bool]) -> list[int]:
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - many, and at each operation
    return [pid for pid in pids if pid != os.getpid() and belongs(pid)]


def _end(belongs: Callable[[int], bool], within_s: float) -> Ended:
    ended: dict[int, str] = {}
    refused: dict[int, str] = {}
    deadline = time.monotonic() + within_s
    looks = 0
    while looks < _LOOKS and time.monotonic() < deadline:
        found = [pid for pid in _find(belongs) if pid not in refused]
        looks = 0 if found else looks + 1
        for pid in found:
            _kill(pid, belongs, ended, refused)
        if found:
            time.sleep(_POLL_S)
    for pid in _find(belongs) if looks < _LOOKS else ():  # killed, and not gone: it waits in the kernel
        refused[pid] = ended.pop(pid, "a process")
    return Ended(_words(ended), _words(refused))


def _kill(pid: int, belongs: Callable[[int], bool], ended: dict[int, str], refused: dict[int, str]) -> None:
    with contextlib.suppress(ProcessLookupError), opened(pid) as descriptor:
        name = _name(pid)
        if not belongs(pid):  # another process has its number by now
            return
        try:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            ended[pid] = name
        except PermissionError:
            refused[pid] = name


def _words(found: dict[int, str]) -> list[str]:
    return [f"{name} ({pid})" for pid, name in found.items()]


def _name(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
    return "a process"


def _lives(pid: int) -> bool:
    who = ProcessId.of(pid)
    return who is not None and who.alive


def _has_variable(pid: int, variable: bytes) -> bool:
    with contextlib.suppress(OSError):  # gone, or another user's
        return variable in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return False


def _has_open(pid: int, path: str) -> bool:
    folder = f"/proc/{pid}/fd"
    with contextlib.suppress(OSError):
        for number in os.listdir(folder):  # noqa: PTH208 - thousands of links, each time that a worker died
            with contextlib.suppress(OSError):
                if os.readlink(f"{folder}/{number}") == path:  # noqa: PTH115
                    return True
    return False
