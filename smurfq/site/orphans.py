"""Ends the orphans of dead processes of a site, which the site supervisor has adopted."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import psutil

from smurfq.site import journal
from smurfq.site.watched import Say

_END_WITHIN_S = 60.0


def reap(known: set[int]) -> None:
    """Reap the dead children of this process that are not among ``known``."""
    for orphan in _children(known):
        if _is_dead(orphan):
            with contextlib.suppress(ChildProcessError):
                os.waitpid(orphan.pid, os.WNOHANG)


def kill(known: set[int], say: Say) -> None:
    """Kill the children of this process that are not among ``known``, and all their descendants."""
    while orphans := _children(known):
        for orphan in orphans:
            with contextlib.suppress(psutil.Error):
                if not _is_dead(orphan):
                    say(f"{orphan.name()} (process {orphan.pid}) is an orphan: killed")
                    orphan.kill()
                orphan.wait(5)


def end_orphans(state_dir: Path, say: Say) -> None:
    """Wait until the processes of a site that was killed here have ended, and kill those that do not."""
    present = journal.read(state_dir)
    left = present.left() if present else []
    if not left:
        return
    say(f"waiting for the processes of a killed site to end ({', '.join(entry.name for entry in left)})")
    deadline = time.monotonic() + _END_WITHIN_S
    while left and time.monotonic() < deadline:
        time.sleep(0.1)
        left = [entry for entry in left if entry.alive]
    for entry in left:
        say(f"{entry.name} did not end: killed")
        if entry.who is not None:
            entry.who.send(signal.SIGKILL)


def _children(known: set[int]) -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if child.pid not in known]


def _is_dead(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return True
