"""Hosts of a test on one machine: each has a network, an address, a host name and a disk of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.site import commands
from tests.site.eventually import eventually
from tests.site.process_group import ProcessGroup

_LIVES_S = "1800"  # of a namespace's holder, should the test be killed
TOOLS = ("ip", "nsenter", "unshare", "hostname", "mount")
DISK: Final = Path("/srv")  # where each host has its disk


def why_not() -> str:
    """Why this machine has no namespaces for a test; empty if it has."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return f"needs {', '.join(missing)} (iproute2, util-linux, hostname)"
    return "" if os.geteuid() == 0 else "only root can make network namespaces"


class Network(ProcessGroup):
    """Hosts that reach each other by a switch, at 10.77.0.1, .2, and so on.

    The disk of a host is ``DISK`` on that host, and ``disks[host]`` for the test.
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        super().__init__(folder)
        try:
            self._connect(names)
        except BaseException:
            self.close()
            raise

    def _connect(self, names: Sequence[str]) -> None:
        self._holders = {name: self._holder(name) for name in ("switch", *names)}
        self._ip("switch", "link add name ports type bridge")
        self._ip("switch", "link set ports up")
        self.addresses = {name: f"10.77.0.{number}" for number, name in enumerate(names, 1)}
        for name, address in self.addresses.items():
            self._ip("switch", f"link add {name} type veth peer name eth0 netns {self._holders[name]}")
            self._ip("switch", f"link set {name} master ports up")
            self._ip(name, f"addr add {address}/24 dev eth0")
            self._ip(name, "link set eth0 up")
            self._ip(name, "link set lo up")
            self._run(name, "hostname", name)
        self.disks = {name: self._disk(name) for name in names}

    def start(self, host: str, name: str, command: Sequence[str], environ: Mapping[str, str]) -> int:
        """Start a process on a host; its pid. ``name`` is that of its log."""
        return self.launch(name, [*self._within(host), *command], environ).pid

    def run(self, host: str, environ: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
        """A ``smurfq`` command on a host, which has ended."""
        return commands.smurfq(environ, *arguments, within=self._within(host))

    def evaluate(self, host: str, environ: Mapping[str, str], code: str) -> Any:
        """What ``code`` leaves in ``result``, run in a process of its own on a host."""
        return commands.evaluate(environ, code, within=self._within(host))

    def cut(self, host: str) -> None:
        """Pull the host's cable."""
        self._ip("switch", f"link set {host} down")

    def mend(self, host: str) -> None:
        """Plug it in again."""
        self._ip("switch", f"link set {host} up")

    def _holder(self, name: str) -> int:
        """A process that keeps new namespaces alive; its pid."""
        pid = self.launch(f"host-{name}", ["unshare", "--net", "--uts", "--mount", "sleep", _LIVES_S], os.environ).pid
        own = Path("/proc/self/ns/mnt").readlink()
        eventually(lambda: Path(f"/proc/{pid}/ns/mnt").readlink() != own, what=f"the namespaces of {name}")
        return pid

    def _disk(self, name: str) -> Path:
        disk = self.folder / f"disk-{name}"
        disk.mkdir()
        self._run(name, "mount", "--bind", str(disk), str(DISK))
        return disk

    def _within(self, host: str) -> list[str]:
        return ["nsenter", "--target", str(self._holders[host]), "--net", "--uts", "--mount", "--"]

    def _ip(self, host: str, arguments: str) -> None:
        self._run(host, "ip", *arguments.split())

    def _run(self, host: str, *command: str) -> None:
        subprocess.run([*self._within(host), *command], check=True)
