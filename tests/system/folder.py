"""A separate folder in which tests call `smurfq` like a person, and which no process outlives."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from smurfq.config import Settings, load
from smurfq.site import journal
from smurfq.site.journal import Journal
from tests.ports import free_port

TOP = Path(__file__).parents[2]
SLOT = "crate1slot2"
WITHIN_S = 120.0  # for what takes seconds where nothing else runs


class Folder:
    """A folder in which `smurfq` is called, as a person does in a terminal."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(TOP),
            "HOME": str(path),
            "SMURFQ_STATE_DIR": str(path / "state"),
            "SMURFQ_REDIS_EMBEDDED_PORT": str(free_port()),
            "SMURFQ_BRIDGE_PORT": str(free_port()),
            "SMURFQ_FLOWER_PORT": str(free_port()),
            "SMURFQ_WORKER_PRELOAD": "false",
        }
        self.started: list[subprocess.Popen[str]] = []

    @property
    def settings(self) -> Settings:
        return load(self.environ)

    def smurfq(self, *arguments: str, within_s: float = 2 * WITHIN_S) -> subprocess.CompletedProcess[str]:
        """A `smurfq` command, run to its end."""
        return subprocess.run(
            [sys.executable, "-m", "smurfq", *arguments],
            env=self.environ,
            cwd=self.path,
            capture_output=True,
            text=True,
            timeout=within_s,
            check=False,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """A `smurfq` command, running; its output goes to a file."""
        with (self.path / "out").open("a") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "smurfq", *arguments],
                env=self.environ,
                cwd=self.path,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                text=True,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def output(self) -> str:
        return (self.path / "out").read_text()

    def journal(self) -> Journal | None:
        return journal.read(self.path / "state")

    def wait_for(self, condition: Callable[[], bool], what: str, within_s: float = WITHIN_S) -> None:
        deadline = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline, f"{what}: not within {within_s:g} s\n{self.output()}"
            time.sleep(0.05)

    def is_ready(self) -> bool:
        found = self.journal()
        return found is not None and found.alive and found.state == "ready"

    def pid(self, name: str) -> int | None:
        found = self.journal()
        entry = next((entry for entry in found.processes if entry.name == name), None) if found else None
        return entry.who.pid if entry and entry.who and entry.alive else None

    def processes(self) -> list[psutil.Process]:
        """All processes of this machine that belong to this folder's site."""
        mine = self.environ["SMURFQ_STATE_DIR"]
        found = []
        for process in psutil.process_iter():
            try:
                if process.status() != psutil.STATUS_ZOMBIE and (
                    process.environ().get("SMURFQ_STATE_DIR") == mine or f"{mine}/" in " ".join(process.cmdline())
                ):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def demo_processes(self) -> list[psutil.Process]:
        """All processes of this machine that belong to the demo's site in this folder."""
        mine = str(self.path / "demo")
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("SMURFQ_CONFIG", "").startswith(mine):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def end(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.terminate()
        for process in self.started:
            try:
                process.wait(WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        left = self.processes()
        for process in left:
            process.kill()
        assert left == [], f"left behind: {left}"
