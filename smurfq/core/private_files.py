"""Makes folders and log files that only their owner can read: the state folder, and what is below it.

Parameters, records and the output of scripts are in there.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

_FOLDER_MODE = 0o700
_FILE_MODE = 0o600


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, each for its owner only; one that exists stays as it is."""
    if folder.is_dir():
        return
    if folder.parent != folder:
        make_folder(folder.parent)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=_FOLDER_MODE)


def open_log(path: Path) -> Any:
    """A binary file to append to, unbuffered, which is made for its owner only."""
    return open(path, "ab", buffering=0, opener=_private)


def is_open_to_others(folder: Path) -> bool:
    """Whether somebody who is neither its owner nor in its group may list, enter or change a folder."""
    return bool(folder.stat().st_mode & 0o007)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, _FILE_MODE)
