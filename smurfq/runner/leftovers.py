"""What an operation has left behind on this host, when the worker that watched it is gone.

Its processes are found by the variable that all it started has inherited, and by the card's lock that they hold open.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

SESSION_VARIABLE = "SMURF_SESSION_ID"  # in the environment of an operation and of all that it starts
_POLL_S = 0.02
_LOOKS = 2


def end_leftovers(session_id: str, lock: Path | None, within_s: float = 5.0) -> list[int]:
    """Kill every process on this host that an operation which is over has left behind; their ids.

    ``lock`` is that of its card, if nobody has it by right.
    """
    killed: set[int] = set()
    deadline = time.monotonic() + within_s
    looks = 0  # that found nothing: a second one costs little, and what is overlooked drives the card on
    while looks < _LOOKS and time.monotonic() < deadline:
        left = leftovers(session_id, lock)
        looks = 0 if left else looks + 1
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
        time.sleep(_POLL_S)
    return sorted(killed)


def leftovers(session_id: str, lock: Path | None) -> list[int]:
    """The processes on this host, but for this one, that belong to an operation or have the card's lock open."""
    marker = f"{SESSION_VARIABLE}={session_id}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        pid = int(folder.name)
        if pid == os.getpid():
            continue
        with contextlib.suppress(OSError):  # gone, or another user's
            marked = marker in (folder / "environ").read_bytes().split(b"\0")
            if marked or (lock is not None and _has_open(folder, str(lock))):
                found.append(pid)
    return found


def _has_open(process: Path, path: str) -> bool:
    for link in (process / "fd").iterdir():
        with contextlib.suppress(OSError):
            if str(link.readlink()) == path:
                return True
    return False
