"""A live site for tests: its own Valkey and bridge, workers on request, and this process as a producer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil
from kombu import pools

from smurfq import config
from smurfq.app import app
from smurfq.celery_app.settings import celery_settings
from smurfq.core.slot import queue_name
from tests.ports import free_port
from tests.valkeys import start_valkey

READY_WITHIN_S = 240.0
STOP_WITHIN_S = 90.0
WITHIN_S = 60.0  # for what takes a second or two where nothing else runs: on a loaded machine a test must only be slow
ROOT = Path(__file__).parents[2]


def eventually(condition: Callable[[], Any], within_s: float = WITHIN_S, what: str = "", every_s: float = 0.02) -> Any:
    """What ``condition`` returns once it is true; it is looked at each ``every_s``."""
    deadline = time.monotonic() + within_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"did not happen within {within_s} s: {what or condition}"
        time.sleep(every_s)


def bind(environ: Mapping[str, str]) -> None:
    """Make this process a producer of the site that these variables describe."""
    settings = config.load(environ)
    for kind in [kind for kind in type(app).__mro__ if kind.__module__.startswith("smurfq.")]:
        for name in [name for name, value in vars(kind).items() if isinstance(value, cached_property)]:
            app.__dict__.pop(name, None)
    app.__dict__["settings"] = settings
    app.conf.update(celery_settings(settings))
    app.__dict__.pop("amqp", None)
    pools.reset()  # their connections remember what they have declared, in a Redis that may be empty by now
    app.reset_after_fork()
    app._backend_cache = None
    app._local = type(app._local)()


def pause(pid: int) -> None:
    """Stop a process with SIGSTOP, and return once each of its threads stands still, which may take a while."""
    os.kill(pid, signal.SIGSTOP)
    tasks = Path(f"/proc/{pid}/task")
    eventually(
        lambda: all((task / "stat").read_text().rpartition(")")[2].split()[0] == "T" for task in tasks.iterdir()),
        what=f"process {pid} is stopped",
    )


class Gate:
    """A script that says that it runs and goes on once the gate is opened, and not a moment earlier."""

    def __init__(self, site: LiveSite, name: str, then: str) -> None:
        self._path = site.folder / f"{name}.open"
        self._path.unlink(missing_ok=True)
        self.script = site.script(
            f"{name}.py",
            f"import os, time\nprint('waits', flush=True)\nwhile not os.path.exists({str(self._path)!r}):\n"
            f"    time.sleep(0.05)\n{then}",
        )

    def open(self) -> None:
        """Let the script go on."""
        self._path.touch()


class LiveSite:
    """Valkey, bridge and workers of a test session."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder = folder
        self.scripts = folder / "scripts"
        self.scripts.mkdir(parents=True)
        self._valkey_port = free_port()
        self.start_valkey()
        self.environ = {
            "SMURFQ_REDIS_URL": f"redis://127.0.0.1:{self._valkey_port}/0",
            "SMURFQ_STATE_DIR": str(folder / "state"),
            "SMURFQ_BRIDGE_PORT": str(free_port()),
            "SMURFQ_SCRIPTS_FOLDERS": str(self.scripts),
            "SMURFQ_SLOTS": "crate1slot1,crate1slot2,crate1slot3,crate1slot4",
            "SMURFQ_WORKER_PRELOAD": "false",
            "SMURFQ_WORKER_LEASE_TTL_S": "4",
            "SMURFQ_LIMITS_ABORT_GRACE_S": "1.0",
            "SMURFQ_LIMITS_KILL_GRACE_S": "15",  # what is asked to clean up may be slow at it
            "SMURFQ_LIMITS_SHUTDOWN_GRACE_S": "1.0",
            "SMURFQ_LIMITS_EMERGENCY_GRACE_S": "0.5",
            **variables,
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start_valkey(self) -> None:
        """Start the Valkey, with what it had when it was stopped."""
        self.valkey = start_valkey(self.folder / "valkey", self._valkey_port)

    def restart_valkey(self, away_s: float) -> None:
        """Stop the Valkey, and start it again after a while."""
        self.valkey.stop()
        time.sleep(away_s)
        self.start_valkey()

    def bind(self) -> None:
        """Make this process a producer of the site."""
        bind(self.environ)

    def start_bridge(self, wait: bool = True) -> subprocess.Popen[bytes]:
        """The bridge, ready unless ``wait`` is false."""
        process = self._start("bridge", "-m", "smurfq.udp_bridge")
        if not wait:
            return process
        eventually(lambda: app.store.exists("smurfq:bridge"), READY_WITHIN_S, "the bridge is alive")
        return process

    def start_worker(
        self, slot: str, name: str | None = None, wait: bool = True, slots: Sequence[str] = (), **more: str
    ) -> Any:
        """A worker of a slot, or of several; ready unless ``wait`` is false."""
        named = [word for each in slots or [slot] for word in ("--slot", each)]
        process = self._start(name or f"worker-{slot}", "-m", "smurfq.worker_boot", *named, **more)
        if wait:
            self.await_worker(slot, name)
        return process

    def await_worker(self, slot: str, name: str | None = None) -> None:
        """Return once a slot is served by the worker that was started under this name."""
        parent = self.processes[name or f"worker-{slot}"].pid
        for lane in ("control", "state"):
            eventually(
                lambda lane=lane: self._is_child(self.worker_pid(slot, lane), parent),
                READY_WITHIN_S,
                f"{slot} is served ({lane})",
            )

    @staticmethod
    def _is_child(pid: int, parent: int) -> bool:
        try:
            return pid > 0 and psutil.Process(pid).ppid() == parent
        except psutil.NoSuchProcess:
            return False

    def worker_pid(self, slot: str, lane: Any = "control") -> int:
        """The process of a lane's Celery worker; 0 if it says nothing."""
        return int(app.store.hget(f"smurfq:worker:{queue_name(slot, lane)}", "pid") or 0)

    def script(self, name: str, text: str) -> str:
        """A script that `run` may run."""
        path = self.scripts / name
        path.write_text(text)
        return str(path)

    def gate(self, name: str, then: str = "") -> Gate:
        """A script that waits until it is let go; each test has a ``name`` of its own."""
        return Gate(self, name, then)

    def log(self, name: str) -> str:
        """What a process of the site has written."""
        return (self.folder / f"{name}.log").read_text()

    def stop(self, process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> int:
        """End a process of the site; its exit code."""
        if process.poll() is None:
            process.send_signal(number)
        try:
            return process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def close(self) -> None:
        """End all."""
        try:
            codes = {name: self.stop(process) for name, process in reversed(self.processes.items())}
        finally:
            for process in self.processes.values():
                process.kill()
                process.wait()
            if self.valkey.is_running():
                self.valkey.stop()
        assert not any(code in (-signal.SIGABRT, -signal.SIGSEGV) for code in codes.values()), codes

    def _start(self, name: str, *arguments: str, **more: str) -> subprocess.Popen[bytes]:
        environ = {k: v for k, v in os.environ.items() if not k.startswith(("SMURFQ_", "SMURFPUB_"))}
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env={**environ, **self.environ, "PYTHONPATH": str(ROOT), **more},
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        self.processes[name] = process
        return process
