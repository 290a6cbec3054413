"""The site of a soak: two slots that one worker serves, one with a worker of its own, and a simulated one if asked for.

Its files are archived. As a service manager does, it starts again what has ended.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from pathlib import Path

import psutil

from smurfq.app import app
from smurfq.core import keys
from smurfq.store import patiently
from smurfq.store.archive_list import ArchiveList
from smurfq.store.redis_errors import AWAY
from tests.site.eventually import eventually
from tests.site.live import LiveSite
from tests.site.process_group import site_processes
from tests.soak import scripts

WORKERS = {"worker-a": ("crate1slot1", "crate1slot2"), "worker-b": ("crate1slot3",)}
SIMULATED = {"worker-sim": ("crate1slot4",)}
LEASE_TTL_S = 5.0
BACK_WITHIN_S = 300.0  # on a machine that does much else
_READ_POLL_S = 0.05


class SoakSite(LiveSite):
    """Valkey, bridge, workers, and the simulator if ``simulated``; it knows who serves what."""

    def __init__(self, folder: Path, *, simulated: bool) -> None:
        self.workers = {**WORKERS, **(SIMULATED if simulated else {})}
        self.slots = [slot for slots in self.workers.values() for slot in slots]
        self.simulated = SIMULATED["worker-sim"] if simulated else ()
        variables = {
            "SMURFQ_SLOTS": " ".join(self.slots),
            "SMURFQ_WORKER_LEASE_TTL_S": str(LEASE_TTL_S),
            "SMURFQ_WORKER_LOCK_WAIT_S": "20",
            "SMURFQ_SIM_DETECTORS": "24",
            "SMURFQ_ARCHIVE_DATABASE": str(folder / "archive" / "suprsync.db"),
        }
        super().__init__(folder, simulated=self.simulated, **variables)
        self.database = folder / "archive" / "suprsync.db"
        self.database.parent.mkdir()
        self.publishing = self.script("publishing.py", scripts.PUBLISHING)
        self.streaming = self.script("streaming.py", scripts.STREAMING)

    def start(self) -> None:
        """Start all of it."""
        self.start_cards()
        if self.simulated:
            self.start_simulator()
        self.start_bridge()
        self.start_registrar()
        for name in self.workers:
            self.start_worker_named(name)
        self.await_served()

    def journal(self, slot: str) -> Path:
        """Where the operations of a slot write."""
        return self.folder / f"journal-{slot}"

    def start_worker_named(self, name: str, started_as: str | None = None) -> subprocess.Popen[bytes]:
        """A worker of the slots that ``name`` serves, not waited for."""
        slots = self.workers[name]
        more = {"SMURFQ_WORKER_PRELOAD": "true"} if slots == self.simulated else self.of_cards
        return self.start_worker(slots[0], started_as or name, wait=False, slots=slots, **more)

    def start_registrar(self) -> None:
        """The registrar of the archive, not waited for."""
        self.run_python("archive", "-m", "smurfq.archive")

    def keep_up(self) -> None:
        """Start again what has ended."""
        if self.processes["bridge"].poll() is not None:
            self.start_bridge(wait=False)
        if self.processes["archive"].poll() is not None:
            self.start_registrar()
        for name in self.workers:
            if self.processes[name].poll() is not None:
                self.start_worker_named(name)

    def await_archived(self, within_s: float) -> None:
        """Return once no file waits to be registered, or the time for that is over."""
        deadline = time.monotonic() + within_s
        archive = ArchiveList(app.store, app.settings.bridge_name)
        while patiently(lambda: archive.state().waiting) and time.monotonic() < deadline:
            self.keep_up()
            time.sleep(_READ_POLL_S)

    def await_served(self) -> None:
        """Return once the bridge lives and every slot is served."""
        eventually(self._all_served, BACK_WITHIN_S, "all slots are served, and the bridge lives")

    def _all_served(self) -> bool:
        self.keep_up()
        try:
            alive = bool(app.store.exists(keys.bridge(app.settings.bridge_name)))
            return alive and all(self.is_served(slot, name) for name, slots in self.workers.items() for slot in slots)
        except AWAY:
            return False

    def lane(self, slot: str) -> psutil.Process | None:
        """The control lane's process of whichever worker serves a slot."""
        try:
            return psutil.Process(self.worker_pid(slot))
        except (*AWAY, psutil.Error, ValueError):
            return None

    def operation(self, slot: str, within_s: float = 3.0) -> int | None:
        """The process of the operation that runs on a slot, waited for a little."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            try:
                running = app.fence.running(slot)
            except AWAY:
                return None
            if running is not None and len(running.processes) > 1:
                return running.processes[1].pid
            time.sleep(_READ_POLL_S)
        return None

    def worker_of(self, slot: str) -> str:
        """The name of the worker that serves a slot."""
        return next(name for name, slots in self.workers.items() if slot in slots)

    def continue_all(self) -> None:
        """Let go on whatever of this site is stopped (SIGSTOP), that it can be ended."""
        for process in site_processes(self.folder):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)
