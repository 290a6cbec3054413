"""A live site whose slots are simulated: Valkey, bridge, the simulator, and workers with the real libraries."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from smurfq import config
from smurfq.client import Run, Slot
from smurfq.client.connection import Connection
from smurfq.core.session import SessionRecord
from smurfq.sim import faults, presence
from smurfq.sim.faults import Faults
from smurfq.sim.options import Options
from smurfq.sim.surroundings import options_of, site_variables
from tests.integration.live import READY_WITHIN_S, ROOT, LiveSite, eventually
from tests.ports import free_port

SLOTS = ("crate1slot2", "crate1slot3", "crate1slot4")
DETECTORS = 240
LONG_S = 240.0  # for what takes half a minute where nothing else runs
DACS = "AMCc:FpgaTopLevel:AppTop:AppCore:RtmCryoDet:RtmSpiMax:TesBiasDacDataRegChArray"
STATE = {
    "streaming": "AMCc:FpgaTopLevel:AppTop:AppCore:enableStreaming",
    "open": "AMCc:SmurfProcessor:SOStream:open_g3stream",
    "session_id": "AMCc:SmurfProcessor:SOStream:SOFileWriter:session_id",
    "playback": "AMCc:FpgaTopLevel:AppTop:AppCore:RtmCryoDet:LutCtrl:Ctrl:EnableCh",
}
READ = """
import epics, json, sys
found = {name: epics.caget(name, timeout=60, connection_timeout=60) for name in sys.argv[1:]}
print(json.dumps({name: value.tolist() if hasattr(value, "tolist") else value for name, value in found.items()}))
"""


class SimSite:
    """A live site and the simulator of its slots."""

    def __init__(self, folder: Path, **variables: str) -> None:
        asked = {
            "SMURFQ_SLOTS": " ".join(SLOTS),
            "SMURFQ_SIM_PORT": str(free_port()),
            "SMURFQ_SIM_DETECTORS": str(DETECTORS),
            "SMURFQ_STATE_DIR": str(folder / "state"),
            "SMURFQ_WORKER_PRELOAD": "true",
            "SMURFQ_LIMITS_CLOSE_STREAM_S": "30",
            "SMURFQ_LIMITS_ABORT_GRACE_S": "90",
            "SMURFQ_LIMITS_KILL_GRACE_S": "90",
            **variables,
        }
        self.options: Options = options_of(config.load(asked), SLOTS)
        self.live = LiveSite(folder, **asked, **site_variables(self.options))
        self.live.bind()
        self.live.start_bridge()
        self.simulator = self.start_simulator()

    @property
    def settings(self) -> config.Settings:
        return config.load(self.live.environ)

    def start_simulator(self) -> subprocess.Popen[bytes]:
        """The simulator, serving."""
        words = [word for slot in SLOTS for word in ("--slot", slot)]
        process = self.live._start("sim", "-m", "smurfq.sim", *words)
        eventually(lambda: (presence.read(self.options.folder) or {}).get("pid") == process.pid, READY_WITHIN_S)
        return process

    def slot(self, slot: str = SLOTS[0]) -> Slot:
        """A slot, as a client has it."""
        return Slot(slot, connection=Connection(self.settings))

    def run(self, operation: str, slot: str = SLOTS[0], within_s: float = LONG_S, **params: Any) -> SessionRecord:
        """The record of a run, once it has ended."""
        return self.slot(slot).submit(operation, **params).wait(within_s)

    def succeeded(self, operation: str, slot: str = SLOTS[0], within_s: float = LONG_S, **params: Any) -> SessionRecord:
        """The record of a run that must succeed."""
        record = self.run(operation, slot, within_s, **params)
        assert record.outcome == "succeeded", (record.error, record.log[-3000:])
        assert record.simulated
        assert record.complete
        return record

    def in_stage(self, run: Run, stage: str, within_s: float = LONG_S) -> None:
        """Return once a run has come to a stage."""
        eventually(lambda: any(name == stage for name, _ in run.record().stages), within_s, f"{run} in {stage}")

    def until(
        self, condition: Callable[[dict[str, Any]], bool], slot: str, what: str, within_s: float = LONG_S
    ) -> None:
        """Return once what Channel Access reads of a slot meets a condition."""
        eventually(lambda: condition(self.read(slot)), within_s, what)

    def truth(self, slot: str = SLOTS[0]) -> dict[str, Any]:
        """What the model holds of a slot's detectors."""
        with np.load(self.options.folder / slot / "truth.npz") as arrays:
            return dict(arrays)

    def resonators(self, slot: str = SLOTS[0]) -> dict[str, Any]:
        """What the model holds of a slot's resonators."""
        with np.load(self.options.folder / slot / "resonators.npz") as arrays:
            return dict(arrays)

    def fault(self, slot: str, **asked: Any) -> None:
        """Give a slot these faults and no others, and wait until they are in force."""
        wanted = Faults()
        for name, value in asked.items():
            wanted = wanted.with_fault(name, value)
        faults.write(self.options.folder, {slot: wanted})

        def in_force() -> bool:
            told = presence.read(self.options.folder) or {"slots": {}}
            return all(
                found["faults"] == (wanted.to_dict() if name == slot else {}) for name, found in told["slots"].items()
            )

        eventually(in_force, what=f"faults {asked}")

    def read(self, slot: str = SLOTS[0]) -> dict[str, Any]:
        """What a client of Channel Access reads: stream, playback and bias voltages, in a process of its own."""
        prefix = f"smurf_server_s{slot[-1]}:"
        names = {key: prefix + name for key, name in {**STATE, "dacs": DACS}.items()}
        done = subprocess.run(
            [sys.executable, "-c", READ, *names.values()],
            env={**self.live.environ, "PYTHONPATH": str(ROOT), "PATH": ""},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout.splitlines()[-1])
        values = {key: found[name] for key, name in names.items()}
        dacs = np.array(values.pop("dacs"))
        return {**values, "biases": ((dacs[0:24:2] - dacs[1:24:2]) * (20 / 2**20)).tolist()}

    def close(self) -> None:
        """End all."""
        self.live.close()
