"""Processes of a test that end together; each writes to a log of its name."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

import psutil

from tests.site.eventually import eventually

STOP_WITHIN_S = 90.0
ROOT = Path(__file__).parents[2]


class ProcessGroup:
    """Processes by their names, whose logs are in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def launch(
        self,
        name: str,
        command: Sequence[str],
        environ: Mapping[str, str],
        *,
        cwd: Path = ROOT,
        start_new_session: bool = False,
        pass_fds: Sequence[int] = (),
    ) -> subprocess.Popen[bytes]:
        """Start a process; one of the same name is forgotten, but ended at the end if it still runs."""
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=start_new_session,
                pass_fds=pass_fds,
            )
        self.processes[name] = process
        self.started.append(process)
        return process

    def log(self, name: str) -> str:
        """What the processes of a name have written."""
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def stop(self, process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> int:
        """End a process; its exit code."""
        if process.poll() is None:
            process.send_signal(number)
        try:
            return process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def close(self) -> None:
        """End all, the newest first; none of them may have crashed."""
        try:
            codes = [self.stop(process) for process in reversed(self.started)]
        finally:
            for process in self.started:
                process.kill()
                process.wait()
        assert not {-signal.SIGABRT, -signal.SIGSEGV} & set(codes), [
            (process.args, process.returncode) for process in self.started
        ]


def environ_without_site(**more: str) -> dict[str, str]:
    """This process's environment without what belongs to a site; smurfq and the tests can be imported."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SMURFQ_", "SMURFPUB_"))}
    return {**kept, "PYTHONPATH": str(ROOT), **more}


def site_processes(folder: Path) -> list[psutil.Process]:
    """All processes of this machine whose site has its state or its configuration in a folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):  # it has ended, or is another's
            if any(f"{place}/".startswith(f"{folder}/") for place in _places(process)):
                found.append(process)
    return found


def _places(process: psutil.Process) -> Iterator[str]:
    environ = process.environ()
    yield from (environ.get(variable, "") for variable in ("SMURFQ_STATE_DIR", "SMURFQ_CONFIG"))
    if process.name() == "valkey-server":  # it writes its title over its environment
        yield process.cwd()


def lives(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def described(process: psutil.Process) -> str:
    """A process in words."""
    try:
        return f"process {process.pid} ({process.status()}): {' '.join(process.cmdline())[:200]}"
    except psutil.Error:
        return f"process {process.pid}"


def pause(pid: int) -> None:
    """Stop a process with SIGSTOP, and return once each of its threads stands still, which may take a while."""
    os.kill(pid, signal.SIGSTOP)
    tasks = Path(f"/proc/{pid}/task")
    eventually(
        lambda: all((task / "stat").read_text().rpartition(")")[2].split()[0] == "T" for task in tasks.iterdir()),
        what=f"process {pid} is stopped",
    )
