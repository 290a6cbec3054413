"""The faults of a soak: each harms the site and leaves it able to go on."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable

import psutil

from smurfq.app import app
from smurfq.store.connection import AWAY
from tests.integration.live import LiveSite, eventually

_BACK_WITHIN_S = 60.0


class Faults:
    """What a soak may do to a site; ``names`` lists them."""

    def __init__(self, site: LiveSite, slots: list[str], chance: random.Random) -> None:
        self._site = site
        self._slots = slots
        self._chance = chance
        self.faults: dict[str, Callable[[], None]] = {
            "kill an operation": self._kill_operation,
            "kill a pool child": self._kill_pool_child,
            "kill a lane": self._kill_lane,
            "kill a worker": self._kill_worker,
            "kill the bridge": self._kill_bridge,
            "stop a worker (SIGTERM)": self._terminate_worker,
            "stop a worker at once (SIGQUIT)": self._quit_worker,
            "stop Redis": self._stop_redis,
            "pause Redis": self._pause_redis,
            "cut Redis's connections": self._cut_connections,
            "a second worker": self._second_worker,
        }

    def one(self) -> str:
        """The name of a fault, chosen by chance and done."""
        name = self._chance.choice(list(self.faults))
        self.faults[name]()
        return name

    def _slot(self) -> str:
        return self._chance.choice(self._slots)

    def _kill(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def _lane(self, slot: str) -> psutil.Process | None:
        try:
            return psutil.Process(self._site.worker_pid(slot))
        except (*AWAY, psutil.Error, ValueError):
            return None

    def _kill_operation(self) -> None:
        with contextlib.suppress(*AWAY):
            running = app.fence.running(self._slot())
            if running is not None and len(running.processes) > 1:
                self._kill(int(running.processes[1][0]))

    def _kill_pool_child(self) -> None:
        lane = self._lane(self._slot())
        with contextlib.suppress(psutil.Error):
            for child in lane.children() if lane else []:
                self._kill(child.pid)

    def _kill_lane(self) -> None:
        lane = self._lane(self._slot())
        if lane is not None:
            self._kill(lane.pid)

    def _restart(self, slot: str, how: int) -> None:
        process = self._site.processes[f"worker-{slot}"]
        process.send_signal(how)
        process.wait(_BACK_WITHIN_S)
        self._site.start_worker(slot, wait=False)

    def _kill_worker(self) -> None:
        self._restart(self._slot(), signal.SIGKILL)

    def _terminate_worker(self) -> None:
        self._restart(self._slot(), signal.SIGTERM)

    def _quit_worker(self) -> None:
        self._restart(self._slot(), signal.SIGQUIT)

    def _kill_bridge(self) -> None:
        self._site.processes["bridge"].kill()
        self._site.processes["bridge"].wait()
        self._site.start_bridge(wait=False)

    def _stop_redis(self) -> None:
        self._site.restart_valkey(away_s=self._chance.uniform(0.2, 5.0))

    def _pause_redis(self) -> None:
        pid = int(app.store.info("server")["process_id"])
        os.kill(pid, signal.SIGSTOP)
        time.sleep(self._chance.uniform(0.5, 4.0))
        os.kill(pid, signal.SIGCONT)

    def _cut_connections(self) -> None:
        with contextlib.suppress(*AWAY):
            app.store.client_kill_filter(_type="normal", skipme=True)
            app.store.client_kill_filter(_type="pubsub", skipme=True)

    def _second_worker(self) -> None:
        """Start one beside the first; one of the two stands by, and is ended."""
        slot = self._slot()
        second: subprocess.Popen[bytes] = self._site.start_worker(slot, f"second-{slot}", wait=False)
        time.sleep(self._chance.uniform(0.5, 3.0))
        second.send_signal(self._chance.choice([signal.SIGTERM, signal.SIGKILL]))
        second.wait(_BACK_WITHIN_S)


def settle(site: LiveSite, slots: list[str]) -> None:
    """Return once every slot is served again."""
    for slot in slots:
        if site.processes[f"worker-{slot}"].poll() is not None:
            site.start_worker(slot, wait=False)
    for slot in slots:
        eventually(lambda slot=slot: _served(site, slot), _BACK_WITHIN_S, f"{slot} is served again")


def _served(site: LiveSite, slot: str) -> bool:
    try:
        return site.worker_pid(slot) > 0
    except AWAY:
        return False
