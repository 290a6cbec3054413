"""A folder of its own in which `smurfq` is called as a person does, and that nothing may outlive."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Self

import psutil

from smurfq.config import Settings, load
from smurfq.site import journal
from smurfq.site.journal import Journal
from tests.site import commands
from tests.site.eventually import eventually
from tests.site.ports import free_port
from tests.site.process_group import ROOT, ProcessGroup, site_processes

SLOT = "crate1slot2"
WITHIN_S = 120.0  # for what takes seconds where nothing else runs


class Folder:
    """A folder in which `smurfq` is called, as a person does in a terminal."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "HOME": str(path),
            "SMURFQ_STATE_DIR": str(path / "state"),
            "SMURFQ_REDIS_EMBEDDED_PORT": str(free_port()),
            "SMURFQ_BRIDGE_PORT": str(free_port()),
            "SMURFQ_FLOWER_PORT": str(free_port()),
            "SMURFQ_WORKER_PRELOAD": "false",
        }
        self._group = ProcessGroup(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End what was started; nothing else may be left."""
        self._group.close()
        left = self.processes()
        for process in left:
            process.kill()
        assert not left, f"left behind: {left}"

    @property
    def settings(self) -> Settings:
        """The settings as `smurfq` reads them in this folder."""
        return load(self.environ)

    def smurfq(self, *arguments: str, within_s: float = 2 * WITHIN_S) -> subprocess.CompletedProcess[str]:
        """A `smurfq` command, run to its end."""
        return commands.smurfq(self.environ, *arguments, cwd=self.path, within_s=within_s)

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """A `smurfq` command, running; its output goes to a file."""
        command = [sys.executable, "-m", "smurfq", *arguments]
        return self._group.launch("smurfq", command, self.environ, cwd=self.path, start_new_session=True)

    def output(self) -> str:
        """What the started commands have written."""
        return self._group.log("smurfq")

    def journal(self) -> Journal | None:
        """What `smurfq up` has noted of its processes."""
        return journal.read(self.path / "state")

    def wait_for(self, condition: Callable[[], bool], what: str, within_s: float = WITHIN_S) -> None:
        """Return once a condition is met."""
        eventually(condition, within_s, lambda: f"{what}\n{self.output()}", every_s=0.05)

    def is_ready(self) -> bool:
        """Whether all that `smurfq up` starts is ready."""
        found = self.journal()
        return found is not None and found.alive and found.state == "ready"

    def pid(self, name: str) -> int | None:
        """The process of that name, if it lives."""
        found = self.journal()
        entry = next((entry for entry in found.processes if entry.name == name), None) if found else None
        return entry.who.pid if entry and entry.who and entry.alive else None

    def processes(self) -> list[psutil.Process]:
        """All processes of this machine that belong to a site in this folder."""
        return site_processes(self.path)
