"""A log on the host of the attempts that were started, which survives the loss of Redis.

A claim is only as durable as Redis. A Redis that writes its file once a second, or hands over to a replica, may forget
the last claims and have their messages in its queues again. The file system of the host does not forget.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from smurfq.core.private_files import make_folder

_PRUNE_EVERY_S = 3600.0


class AttemptLog:
    """The log of one slot's attempts: an empty file for each attempt of a task."""

    def __init__(self, folder: Path, kept_s: float) -> None:
        self._folder = folder
        self._kept_s = kept_s
        self._prune_at = 0.0

    def note(self, task_id: str, retries: int) -> bool:
        """Note that an attempt of a task starts; false if it was noted before.

        Raises
        ------
        OSError
            The state folder cannot be written to.
        """
        make_folder(self._folder)
        self._prune()
        try:
            (self._folder / f"{task_id}.{retries}").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def _prune(self) -> None:
        """Remove the notes of tasks whose results have expired; once an hour."""
        now = time.time()
        if now < self._prune_at:
            return
        self._prune_at = now + _PRUNE_EVERY_S
        for path in self._folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < now - self._kept_s:
                    path.unlink()


def attempt_log_folder(state_dir: Path, slot: str) -> Path:
    """Return the folder of a slot's attempt log."""
    return state_dir.absolute() / "begun" / slot
