"""Starts a site in the background, and stops it from another process."""

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
    """Start a site in the background with ``smurfq up`` and ``arguments``, and return its journal.

    ``settings`` were read from ``environ``.

    Raises
    ------
    StartError
        The site did not come up. Its output was passed to ``say``.
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
    """Stop the site that is up here, and wait until all its processes have ended. Return false if none was up.

    Raises
    ------
    StartError
        A process of the site does not end, or is not in its journal.
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
            say(f"{number.name} to the processes of a killed site: {', '.join(one.name for one in present.left())}")
            for entry in present.left():
                if entry.who is not None:
                    entry.who.send(number)
        present = _gone(settings, present, within_s)
        if not present.alive and not present.left():
            _require_unlocked(settings)
            journal.remove(settings.state_dir)
            return True
    raise StartError(
        f"these processes do not end: {', '.join(one.name for one in present.left())}; see {settings.log_dir}"
    )


def _require_unlocked(settings: Settings) -> None:
    folder = settings.state_dir.absolute()
    if journal.is_locked(folder):
        raise StartError(
            f"a site is still up in {folder}, and its journal does not name its process; `fuser {folder}/up.lock` "
            "shows it: end it with SIGTERM",
            state_dir=str(folder),
        )


def _gone(settings: Settings, present: Journal, within_s: float) -> Journal:
    """Wait until the processes of a site have ended or the time is over, and return its last journal."""
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
