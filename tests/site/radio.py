"""A site for tests of the radio side: a device configuration that is quick to set up, and readings of its results."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import yaml
from click.testing import CliRunner

from smurfq.cli import main
from smurfq.client import Run
from smurfq.core.session import SessionRecord
from smurfq.workflows import WorkflowRun
from tests.site.eventually import eventually
from tests.site.process_group import ROOT
from tests.site.simulated import SimSite

BAND = 0
DETECTORS = {"SMURFQ_SIM_DETECTORS": "96"}  # twelve a band: sodetlib draws a picture of each channel
WITHIN_S = 800.0  # for what takes minutes where nothing else runs
QUICK_IV = {
    "bias_high": 16.0,
    "bias_low": 0.0,
    "bias_step": 0.1,
    "wait_time": 0.05,
    "overbias_wait": 0.3,
    "cool_wait": 0.5,
    "show_plots": False,
}
QUICK_BGMAP = {"nsteps": 6, "hcm_wait_time": 0.5}
# A worker that interrupts soon what is to be aborted, leaves it time to clean up, and gives up a scan that stalls.
# The simulator's own scans take a fraction of a second, on an overloaded machine some more; pysmurf sleeps 5 s in some.
SCAN_S = 60.0
IMPATIENT = {
    "SMURFQ_LIMITS_ABORT_GRACE_S": "0.5",
    "SMURFQ_LIMITS_KILL_GRACE_S": "200",
    "SMURFQ_LIMITS_SCAN_S": str(SCAN_S),
}
# Two amplifiers instead of four, whose gates begin where the search is short.
_QUICK_AMPLIFIERS = {
    "amps_to_bias": ["hemt1", "50k1"],
    "amp_hemt1_init_gate_volt": -0.72,
    "amp_hemt1_gate_volt_min": -0.9,
    "amp_50k1_init_gate_volt": -0.46,
}
_READER = """
import epics, json, sys
prefix, root = sys.argv[1] + ":", "AMCc:FpgaTopLevel:AppTop:AppCore:"
word, asked = (1 << 31) | (7 << 20), root + "RtmCryoDet:SpiCryo:write"

def get(name):
    value = epics.caget(prefix + name, timeout=60, connection_timeout=60, use_monitor=False)
    assert value is not None, name
    return value

for _ in sys.stdin:
    epics.caput(prefix + asked, word - (1 << 32), wait=True, timeout=60)
    dacs = get(root + "RtmCryoDet:RtmSpiMax:TesBiasDacDataRegChArray")
    tones = [get(root + f"SysgenCryo:Base[{band}]:CryoChannels:amplitudeScaleArray") for band in range(8)]
    print(json.dumps({
        "amplifiers": int(get(root + "RtmCryoDet:SpiCryo:read")) - (7 << 20),
        "flux_ramp": int(get(root + "RtmCryoDet:RtmSpiSr:CfgRegEnaBit")),
        "tones": sum(int((powers != 0).sum()) for powers in tones),
        "streaming": int(get(root + "enableStreaming")),
        "open": int(get("AMCc:SmurfProcessor:SOStream:open_g3stream")),
        "session_id": int(get("AMCc:SmurfProcessor:SOStream:SOFileWriter:session_id")),
        "playback": int(get(root + "RtmCryoDet:LutCtrl:Ctrl:EnableCh")),
        "bias": int(abs(dacs[:24]).max()),
    }), flush=True)
"""


class Reader:
    """A client of Channel Access, in a process of its own, which reads a slot again and again."""

    def __init__(self, site: SimSite, slot: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _READER, f"smurf_server_s{slot[-1]}"],
            env={**site.environ, "PYTHONPATH": str(ROOT), "PATH": ""},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def read(self) -> dict[str, int]:
        """Amplifiers on (bits), flux ramp, number of tones, stream and playback, the largest bias (DAC counts)."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        found: dict[str, int] = json.loads(self._process.stdout.readline())
        return found

    def assert_untuned(self, *, amplifiers: bool) -> None:
        """The slot has no tones, no ramp, no stream and no biases, and its amplifiers on or off."""
        found = self.read()
        on = found.pop("amplifiers")
        assert not any(found.values()), found
        assert bool(on) == amplifiers, on

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=200)


def set_device(site: SimSite, slot: str, **values: Any) -> None:
    """Change the ``experiment`` part of a slot's device configuration."""
    path = site.options.folders.config / f"device_{slot}.yml"
    device = yaml.safe_load(path.read_text())
    device["experiment"].update(values)
    path.write_text(yaml.safe_dump(device))


def make_quick(site: SimSite, slot: str) -> None:
    """Have a slot's amplifiers set up in few steps."""
    set_device(site, slot, **_QUICK_AMPLIFIERS)


def in_stage(run: Run, stage: str) -> None:
    """Return once a run has come to a stage; rarely looked at, since a loaded machine has better to do."""

    def is_in_it() -> bool:
        record = run.record()
        assert not record.done, record.error
        return stage in stages(record)

    eventually(is_in_it, WITHIN_S, f"{run} in {stage}", every_s=0.3)


def says(run: Run, text: str) -> None:
    """Return once a run's log has a text."""
    eventually(lambda: text in run.record().log, WITHIN_S, f"{run} says {text!r}", every_s=0.3)


def stages(record: SessionRecord) -> list[str]:
    """The names of a record's stages."""
    return [name for name, _ in record.stages]


def tune_of(record: SessionRecord, band: int = BAND) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The frequencies (MHz) and channels of the resonators in the tune that a record names."""
    assert record.tunefile is not None
    found = np.load(record.tunefile, allow_pickle=True).item()[band]["resonances"].values()
    return np.array([one["freq"] for one in found]), np.array([one["channel"] for one in found])


def step_done(site: SimSite, workflow: WorkflowRun, operation: str, slot: str) -> SessionRecord:
    """The record of a slot's run in a workflow's step, once it has succeeded."""

    def started() -> str | None:
        status = workflow.status()
        assert not status.dropped, status.dropped
        ids = next((step.ids for step in status.steps if step.name == operation), {})
        assert ids or not status.record.done, status.record.error
        return ids.get(slot)

    record = site.slot(slot).run(eventually(started, WITHIN_S, f"{operation} is sent", every_s=0.3)).wait(WITHIN_S)
    assert record.outcome == "succeeded", (record.error, record.log[-3000:])
    assert (record.simulated, record.complete, record.degraded) == (True, True, False), record.messages
    return record


def assert_succeeded(site: SimSite, workflow: WorkflowRun, *steps: str, name: str, slot: str) -> None:
    """A workflow of one slot ends well, and its record and the command line tell so, step by step."""
    environ = {**site.environ, "COLUMNS": "200"}
    followed = CliRunner(env=environ).invoke(main, ["workflow", "follow", workflow.id, "--timeout", str(WITHIN_S)])
    assert followed.exit_code == 0, followed.output
    first, *lines = followed.output.splitlines()
    assert first.split() == ["workflow", name, workflow.id, "SIMULATED", "SLOT"]
    for number, step in enumerate(steps, start=1):
        assert any(line.endswith(f"stage {number} {step}") for line in lines), followed.output
        assert any(f"{step}: 1 of 1 succeeded in" in line for line in lines), followed.output
        assert any(line.split()[:3] == [str(number), step, "done"] for line in lines), followed.output
    shown = str(site.slot(slot)).split()
    assert sum(line.split()[:3] == [*shown, "succeeded"] for line in lines) == len(steps), followed.output
    assert not any("data" in line for line in lines), followed.output
    status = workflow.status()
    assert (status.name, status.state, status.targets, status.dropped) == (name, "succeeded", [slot], {})
    assert [step.name for step in status.steps] == list(steps)
