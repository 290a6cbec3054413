"""A live site whose slots are simulated: Valkey, bridge, the simulator, and workers with the real libraries."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from smurfq.client import Run, Slot
from smurfq.client.connection import Connection
from smurfq.core.session import SessionRecord
from smurfq.sim import faults, presence
from smurfq.sim.faults import Faults
from tests.site.commands import evaluate
from tests.site.eventually import eventually
from tests.site.live import LiveSite
from tests.site.process_group import ROOT

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
_READ = """
import epics
found = {name: epics.caget(name, timeout=60, connection_timeout=60) for name in NAMES}
result = {name: value.tolist() if hasattr(value, "tolist") else value for name, value in found.items()}
"""


class SimSite(LiveSite):
    """A live site with a bridge, and the simulator of its slots."""

    def __init__(self, folder: Path, **variables: str) -> None:
        own = {
            "SMURFQ_SLOTS": " ".join(SLOTS),
            "SMURFQ_SIM_DETECTORS": str(DETECTORS),
            "SMURFQ_WORKER_PRELOAD": "true",
            "SMURFQ_LIMITS_ABORT_GRACE_S": "90",
            "SMURFQ_LIMITS_KILL_GRACE_S": "90",
        }
        super().__init__(folder, simulated=SLOTS, **{**own, **variables})
        self.start_bridge()
        self.simulator = self.start_simulator()

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
        put_in_force(self.options.folder, slot, **asked)

    def read(self, slot: str = SLOTS[0]) -> dict[str, Any]:
        """What a client of Channel Access reads: stream, playback and bias voltages, in a process of its own."""
        prefix = f"smurf_server_s{slot[-1]}:"
        names = {key: prefix + name for key, name in {**STATE, "dacs": DACS}.items()}
        environ = {**self.environ, "PYTHONPATH": str(ROOT), "PATH": ""}
        found = evaluate(environ, _READ.replace("NAMES", repr(list(names.values()))))
        values = {key: found[name] for key, name in names.items()}
        dacs = np.array(values.pop("dacs"))
        return {**values, "biases": ((dacs[0:24:2] - dacs[1:24:2]) * (20 / 2**20)).tolist()}


def put_in_force(folder: Path, slot: str, **asked: Any) -> None:
    """Give a slot of the simulator in ``folder`` these faults and no others, and wait until they are in force."""
    wanted = Faults()
    for name, value in asked.items():
        wanted = wanted.with_fault(name, value)
    faults.write(folder, {slot: wanted})

    def in_force() -> bool:
        told = presence.read(folder) or {"slots": {}}
        return all(
            found["faults"] == (wanted.to_dict() if name == slot else {}) for name, found in told["slots"].items()
        )

    eventually(in_force, what=f"faults {asked}")
