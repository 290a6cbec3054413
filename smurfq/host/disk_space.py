"""Describes the free space of a file system, for error messages."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable
from pathlib import Path

LOW_BYTES = 1 << 30
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def is_low(folder: Path) -> bool:
    """Return whether the file system of a folder has less than 1 GB free for this user, or room for no more files."""
    found = os.statvfs(_there(folder))
    return found.f_bavail * found.f_frsize < LOW_BYTES or _has_no_files_left(found)


def room(folder: Path) -> str:
    """Return a folder with its free space, in words: ``/data/logs (3 MB free)``."""
    try:
        found = os.statvfs(_there(folder))
    except OSError as cause:
        return f"{folder} ({cause.strerror})"
    free = f"{found.f_bavail * found.f_frsize >> 20} MB free"
    return f"{folder} ({free}, but room for no more files)" if _has_no_files_left(found) else f"{folder} ({free})"


def room_for(error: BaseException, folders: Iterable[Path]) -> str:
    """Return those of ``folders`` that are nearly full, in words, if an error or its cause says that a disk is full."""
    if not _says_no_room(error):
        return ""
    low: dict[int, Path] = {}
    for folder in folders:
        with contextlib.suppress(OSError):  # no permission: the error is reported without this folder
            if is_low(folder):
                low[_there(folder).stat().st_dev] = folder
    return ", ".join(map(room, low.values()))


def _says_no_room(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            return True
        error = error.__cause__ or error.__context__
    return False


def _has_no_files_left(found: os.statvfs_result) -> bool:
    return found.f_files > 0 and found.f_favail == 0  # some file systems do not count them


def _there(folder: Path) -> Path:
    """Return the folder, or the nearest folder above it that exists."""
    folder = folder.absolute()
    return next(path for path in (folder, *folder.parents) if path.exists())
