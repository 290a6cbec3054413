"""The file lock of a slot's card: every process of an operation holds it, so an orphan keeps it."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from smurfq.core.private_files import make_folder
from smurfq.errors import SlotBusyError

_POLL_S = 0.05


def lock_path(state_dir: Path, publisher: str) -> Path:
    """Return the path of the lock of a publisher id."""
    return state_dir.absolute() / "locks" / f"{publisher}.lock"


def acquire(path: Path, wait_s: float) -> int:
    """Take the lock, and return the file descriptor that holds it.

    The lock is released when this descriptor and all copies of it are closed.

    Raises
    ------
    SlotBusyError
        The lock was not free within ``wait_s`` seconds.
    """
    make_folder(path.parent)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as cause:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                raise SlotBusyError(
                    f"the card {path.stem} is still held by a process that an earlier operation left behind, after "
                    f"{wait_s:g} s; `fuser {path}` names it",
                    slot=path.stem,
                    lock=str(path),
                ) from cause
            time.sleep(_POLL_S)
        else:
            return descriptor
