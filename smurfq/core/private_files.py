"""Makes the state folder, and the folders and logs below it, readable by their owner only.

They contain parameters, records and the output of scripts.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

_FOLDER_MODE = 0o700
_FILE_MODE = 0o600


def make_folder(folder: Path) -> None:
    """Make a folder and its missing parents, each for its owner only. Folders that exist are not changed."""
    if folder.is_dir():
        return
    if folder.parent != folder:
        make_folder(folder.parent)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=_FOLDER_MODE)


def open_log(path: Path) -> Any:
    """Open a file for appending, in binary and without a buffer. A new file is readable by its owner only."""
    return open(path, "ab", buffering=0, opener=_private)


def is_open_to_others(folder: Path) -> bool:
    """Return whether users other than the owner and the group may list, enter or change a folder."""
    return bool(folder.stat().st_mode & 0o007)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, _FILE_MODE)
