"""Computes the checksum of a file, unless somebody still writes to it."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import threading
from typing import Final

CHUNK_BYTES: Final = 1 << 20


class StoppedError(Exception):
    """The registrar was told to stop while it read a file."""


def md5_of(path: str, stop: threading.Event) -> str:
    """Return the MD5 of a file in hexadecimal, as SupRsync compares it with that of the copy.

    Raises
    ------
    OSError
        It is missing, unreadable, no regular file, or was written to while it was read.
    StoppedError
        ``stop`` was set.
    """
    found = hashlib.md5(usedforsecurity=False)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # the open of a FIFO must not block
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", path)
        while chunk := file.read(CHUNK_BYTES):
            if stop.is_set():
                raise StoppedError
            found.update(chunk)
        after = os.fstat(descriptor)
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise OSError(errno.EBUSY, "somebody writes to it", path)
    return found.hexdigest()
