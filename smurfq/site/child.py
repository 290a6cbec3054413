"""Starts and ends one process of a site, which cannot outlive its parent."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil
from redis.exceptions import RedisError

from smurfq.core.private_files import make_folder, open_log
from smurfq.host.process_control import end_with_parent

_LOG_KEPT_BYTES = 20 * 1024 * 1024
_TAIL_LINES = 15
_TAIL_BYTES = 16_384


@dataclass(frozen=True)
class Service:
    """A service to run: its command, its address for people, and its readiness check.

    ``ready`` is called with the process id. If it raises ``OSError`` or ``RedisError``, the service is not ready.
    ``waits_for`` describes the condition in words.
    """

    name: str
    command: Sequence[str]
    where: str
    waits_for: str
    ready: Callable[[int], bool]
    stop_s: float  # time that it may take to exit cleanly
    environ: Mapping[str, str] = field(default_factory=dict)
    withheld: Sequence[str] = ()  # variables that neither it nor the scripts that it runs may see
    essential: bool = False  # the site cannot work without it


class Child:
    """A process that runs a service, with its log."""

    def __init__(self, service: Service, log_dir: Path) -> None:
        self.service = service
        self.log_path = log_dir / f"{service.name.replace(' ', '-')}.log"
        self.started_at = 0.0  # monotonic
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0
        self._passed: dict[str, int] = {}

    def pass_socket(self, variable: str, bound: socket.socket) -> None:
        """Let each start of the process inherit a socket, whose file descriptor is in a variable."""
        self._passed[variable] = bound.fileno()

    @property
    def pid(self) -> int | None:
        """Return the process id; None before the first start."""
        return self._process.pid if self._process else None

    @property
    def exit_code(self) -> int | None:
        """Return the exit code as in ``subprocess``; None while the process runs or before its first start."""
        return self._process.poll() if self._process else None

    @property
    def running(self) -> bool:
        """Return whether the process is running."""
        return self._process is not None and self._process.poll() is None

    @property
    def lived_s(self) -> float:
        """Return the time since the process was started, in seconds."""
        return time.monotonic() - self.started_at

    def start(self) -> None:
        """Start the process in its own session, so that Ctrl-C in the terminal does not reach it."""
        make_folder(self.log_path.parent)
        _rotate(self.log_path)
        with open_log(self.log_path) as log:
            self._log_start = log.tell()
            passed = {variable: str(descriptor) for variable, descriptor in self._passed.items()}
            ends_with_this = partial(end_with_parent, os.getpid(), signal.SIGTERM)
            self._process = subprocess.Popen(
                list(self.service.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**self._inherited(), "PYTHONUNBUFFERED": "1", **self.service.environ, **passed},
                pass_fds=tuple(self._passed.values()),
                start_new_session=True,
                preexec_fn=ends_with_this,  # noqa: PLW1509 - this process has no other threads
            )
        self.started_at = time.monotonic()

    def _inherited(self) -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if name not in self.service.withheld}

    def ready(self) -> bool:
        """Return whether the service can be used now."""
        if not self.running or self.pid is None:
            return False
        try:
            return self.service.ready(self.pid)
        except (OSError, RedisError):
            return False

    def ask_to_end(self) -> None:
        """Send SIGTERM to the process. It ends its own child processes."""
        if self.running and self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        """Kill the process and all its descendants."""
        if self._process is None:
            return
        family = descendants(self._process.pid) if self.running else []
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for process in family:
            with contextlib.suppress(psutil.Error):
                process.kill()
        self._process.wait()

    def log_tail(self) -> list[str]:
        """Return the last lines that the process wrote since it was started."""
        with self.log_path.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, size - _TAIL_BYTES))
            return log.read().decode(errors="replace").splitlines()[-_TAIL_LINES:]


def descendants(pid: int) -> list[psutil.Process]:
    """Return all current descendants of a process."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def _rotate(path: Path) -> None:
    if path.exists() and path.stat().st_size > _LOG_KEPT_BYTES:
        path.replace(path.with_suffix(".log.1"))
