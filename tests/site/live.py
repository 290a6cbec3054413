"""A site for tests: its own Valkey, each other process as it is asked for, and this process as a producer."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import psutil

from smurfq import config
from smurfq.app import app
from smurfq.core import keys
from smurfq.core.slot import WORKER_LANES, Lane, SlotId, queue_name
from smurfq.sim import presence
from smurfq.sim.options import Options
from smurfq.sim.surroundings import options_of, site_variables
from tests.site.eventually import READY_WITHIN_S, eventually
from tests.site.gate import Gate
from tests.site.ports import free_port
from tests.site.process_group import ProcessGroup, environ_without_site
from tests.site.producer import bind
from tests.site.valkey import Valkey


class LiveSite(ProcessGroup):
    """A Valkey that runs, unless ``SMURFQ_REDIS_URL`` names another, and the processes that a test starts."""

    def __init__(self, folder: Path, *, simulated: Sequence[str] = (), **variables: str) -> None:
        super().__init__(folder)
        self.scripts = folder / "scripts"
        self.scripts.mkdir(parents=True)
        self._card_port = free_port()
        self._valkey_runs = ExitStack()
        if "SMURFQ_REDIS_URL" not in variables:
            self.valkey = self._valkey_runs.enter_context(Valkey(folder / "valkey"))
            variables["SMURFQ_REDIS_URL"] = self.valkey.url
        self.environ = {
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
            "SMURFQ_SIM_PORT": str(free_port()),
            "SMURFQ_EPICS_CA_ADDR_LIST": f"127.0.0.1:{self._card_port}",
            "SMURFQ_EPICS_CA_AUTO_ADDR_LIST": "NO",
            **variables,
        }
        self.environ["SMURFQ_SLOTS"] = with_stream_ids(self.environ["SMURFQ_SLOTS"])
        if simulated:
            self.options: Options = options_of(config.load(self.environ), simulated)
            self.environ |= site_variables(self.options)
        self._simulated = simulated
        self.bind()

    @property
    def settings(self) -> config.Settings:
        """The settings of the site's processes."""
        return config.load(self.environ)

    def bind(self) -> None:
        """Make this process a producer of the site."""
        bind(self.environ)

    def start_cards(self) -> None:
        """Start cards that answer; without them each look at a card takes seconds."""
        self.run_python("cards", "-m", "tests.site.card", EPICS_CA_SERVER_PORT=str(self._card_port))
        eventually(lambda: "serves" in self.log("cards"), READY_WITHIN_S, "the cards answer")

    @property
    def of_cards(self) -> dict[str, str]:
        """The variables of a worker whose slots have these cards, on a site that also has simulated slots."""
        return {"SMURFQ_EPICS_CA_ADDR_LIST": f"127.0.0.1:{self._card_port}"}

    def start_bridge(self, wait: bool = True) -> subprocess.Popen[bytes]:
        """The bridge, ready unless ``wait`` is false."""
        process = self.run_python("bridge", "-m", "smurfq.udp_bridge")
        if wait:
            key = keys.bridge(app.settings.bridge_name)
            eventually(lambda: app.store.exists(key), READY_WITHIN_S, "the bridge is alive")
        return process

    def start_worker(
        self,
        slot: str,
        name: str | None = None,
        wait: bool = True,
        slots: Sequence[str] = (),
        program: Sequence[str] = ("-m", "smurfq.worker_boot"),
        **more: str,
    ) -> subprocess.Popen[bytes]:
        """A worker of a slot, or of several; ready unless ``wait`` is false. ``program`` is what Python runs."""
        served = slots or [slot]
        process = self.run_python(name or f"worker-{slot}", *program, *_options(served), **more)
        for each in served if wait else ():
            self.await_worker(each, name or f"worker-{slot}")
        return process

    def start_workflows(self, wait: bool = True, **more: str) -> subprocess.Popen[bytes]:
        """The worker of workflows; ready unless ``wait`` is false."""
        process = self.run_python("workflows", "-m", "smurfq.workflow_boot", **more)
        if wait:
            self.await_workflows(config.load({**self.environ, **more}).workflows.at_once)
        return process

    def start_simulator(self) -> subprocess.Popen[bytes]:
        """The simulator of the simulated slots, serving."""
        process = self.run_python("sim", "-m", "smurfq.sim", *_options(self._simulated))
        eventually(lambda: (presence.read(self.options.folder) or {}).get("pid") == process.pid, READY_WITHIN_S)
        return process

    def run_python(self, name: str, *arguments: str, **more: str) -> subprocess.Popen[bytes]:
        """A Python process of the site, not waited for."""
        return self.launch(name, [sys.executable, *arguments], environ_without_site(**{**self.environ, **more}))

    def await_worker(self, slot: str, name: str | None = None) -> None:
        """Return once a slot is served by the worker that was started under this name."""
        eventually(lambda: self.is_served(slot, name or f"worker-{slot}"), READY_WITHIN_S, f"{slot} is served")

    def await_workflows(self, at_once: int) -> None:
        """Return once all seats of workflows are served."""
        seats = [f"workflows.{number}" for number in range(1, at_once + 1)]
        eventually(lambda: all(map(self.seat_pid, seats)), READY_WITHIN_S, "the seats are served")

    def is_served(self, slot: str, name: str) -> bool:
        """Whether both lanes of a slot are served by the worker of a name."""
        parent = self.processes[name].pid
        return all(_is_child(self.worker_pid(slot, lane), parent) for lane in WORKER_LANES)

    def worker_pid(self, slot: str, lane: Lane = "control") -> int:
        """The process of a lane's Celery worker; 0 if it says nothing."""
        return self.seat_pid(queue_name(slot, lane))

    def seat_pid(self, queue: str) -> int:
        """The process of the Celery worker of a queue; 0 if it says nothing."""
        return int(app.store.hget(keys.worker(queue), "pid") or 0)

    def script(self, name: str, text: str) -> str:
        """A script that `run` may run."""
        path = self.scripts / name
        path.write_text(text)
        return str(path)

    def gate(self, name: str, then: str = "") -> Gate:
        """A script that waits until it is let go; each test has a ``name`` of its own."""
        return Gate(self.scripts, name, then)

    def close(self) -> None:
        """End all, the Valkey last."""
        with self._valkey_runs:
            super().close()


def with_stream_ids(slots: str) -> str:
    """SMURFQ_SLOTS, with a stream id for each slot that is not its place."""
    return " ".join(f"{slot}={stream_id(slot)}" for slot in slots.replace(",", " ").split())


def stream_id(slot: str) -> str:
    """The stream id of a slot of each site for tests."""
    return SlotId.parse(slot).simulated_stream_id


def _options(slots: Sequence[str]) -> list[str]:
    return [word for slot in slots for word in ("--slot", slot)]


def _is_child(pid: int, parent: int) -> bool:
    try:
        return pid > 0 and psutil.Process(pid).ppid() == parent
    except psutil.NoSuchProcess:
        return False
