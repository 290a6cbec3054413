"""Starts a site in the background, and ends it from another process."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from smurfq.config import Settings
from smurfq.core.private_files import make_folder, open_log
from smurfq.errors import StartError
from smurfq.site import journal
from smurfq.site.journal import Journal
from smurfq.site.watched import Say

_LOOK_EVERY_S = 0.1
_STOP_MORE_S = 90.0
_HARDER_S = 20.0


def start(settings: Settings, environ: Mapping[str, str], arguments: Sequence[str], say: Say) -> Journal:
    """Start a site in the background by ``smurfq up`` with ``arguments``; return its journal.

    ``environ`` is what ``settings`` were read from.

    Raises
    ------
    StartError
        It did not come up; what it said was handed to ``say``.
    """
    make_folder(settings.state_dir.absolute())
    log_path = settings.log_dir / "up.log"
    make_folder(log_path.parent)
    with open_log(log_path) as log, log_path.open(encoding="utf-8", errors="replace") as lines:
        lines.seek(0, 2)
        process = subprocess.Popen(
            [sys.executable, "-m", "smurfq", "up", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=dict(environ),
            start_new_session=True,
        )
        while True:
            ended = process.poll() is not None
            present = journal.read(settings.state_dir)
            for line in lines:
                say(line.rstrip())
            if ended:
                raise StartError(f"the site did not come up (exit code {process.returncode}); log: {log_path}")
            if _is_up(present, process.pid) and present is not None:
                return present
            time.sleep(_LOOK_EVERY_S)


def end(settings: Settings, say: Say) -> bool:
    """End the site that runs here and wait until all its processes have ended; return false if none ran.

    Raises
    ------
    StartError
        A process of it does not end, or is not known by its journal.
    """
    present = journal.read(settings.state_dir)
    if present is None:
        _require_unlocked(settings)
        return False
    limits = settings.limits
    operations_s = limits.shutdown_grace_s + limits.abort_grace_s + limits.kill_grace_s
    patience_s = limits.end_workflow_s + operations_s + _STOP_MORE_S
    for number, within_s in (
        (signal.SIGTERM, patience_s),
        (signal.SIGTERM, _HARDER_S),
        (signal.SIGKILL, _HARDER_S),
    ):
        if present.who is not None and present.alive:
            say(f"{number.name} to the site (process {present.who.pid})")
            present.who.send(number)
        elif present.left():
            say(f"{number.name} to what a killed site left: {', '.join(one.name for one in present.left())}")
            for entry in present.left():
                if entry.who is not None:
                    entry.who.send(number)
        present = _gone(settings, present, within_s)
        if not present.alive and not present.left():
            _require_unlocked(settings)
            journal.remove(settings.state_dir)
            return True
    raise StartError(f"these do not end: {', '.join(one.name for one in present.left())}; see {settings.log_dir}")


def _require_unlocked(settings: Settings) -> None:
    folder = settings.state_dir.absolute()
    if journal.is_locked(folder):
        raise StartError(
            f"a site is still up in {folder}, and its journal does not name its process; `fuser {folder}/up.lock` "
            "does: end that one with SIGTERM",
            state_dir=str(folder),
        )


def _gone(settings: Settings, present: Journal, within_s: float) -> Journal:
    """The last journal of a site, once its processes are gone or the time is over."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        present = journal.read(settings.state_dir) or present
        if not present.alive and not present.left():
            break
        time.sleep(_LOOK_EVERY_S)
    return present


def _is_up(present: Journal | None, pid: int) -> bool:
    if present is None or present.who is None or present.who.pid != pid:
        return False
    return present.state in ("ready", "degraded")
