"""sorunlib's unmodified functions drive simulated slots through ``smurfq.ocs``.

Run it with ``pip install 'smurfq[sorunlib]'``. Nothing of sorunlib is changed but where its client class comes from.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from smurfq.core.session import SessionRecord
from tests.site import radio
from tests.site.commands import python
from tests.site.eventually import eventually
from tests.site.live import stream_id
from tests.site.process_group import ROOT
from tests.site.simulated import SLOTS, SimSite

pytestmark = [pytest.mark.sorunlib, pytest.mark.slot, pytest.mark.slow, pytest.mark.timeout(1800)]
if importlib.util.find_spec("sorunlib") is None:
    pytest.skip("needs sorunlib: pip install 'smurfq[sorunlib]'", allow_module_level=True)

USED = SLOTS[:2]  # the third has no worker: sorunlib must not see it
QUICK_IV = {
    "bias_high": 16.0,
    "bias_low": 0.0,
    "bias_step": 0.1,
    "wait_time": 0.05,
    "overbias_wait": 0.3,
    "cool_wait": 0.5,
    "show_plots": False,
}
SCHEDULE = """
import json, os, sys, time
import sorunlib as run
from smurfq.ocs import OCSClient

run.util.OCSClient = OCSClient  # the only change

def tell(what, **more):
    clients = [client.instance_id for client in run.CLIENTS["smurf"]]
    print("TOLD", json.dumps({"what": what, "clients": clients, "at": time.time(), **more}), flush=True)

run.initialize()
tell("initialize")
"""


class Schedules:
    """Runs schedules, each in a process of its own as at the telescope."""

    def __init__(self, site: SimSite, folder: Path) -> None:
        self.site = site
        self._folder = folder

    def run(self, text: str, threshold: int = 1) -> dict[str, dict[str, Any]]:
        """What a schedule told, by what it was."""
        config = self._folder / "sorunlib.yaml"
        config.write_text(json.dumps({"registry": "registry", "smurf_failure_threshold": threshold}))
        environ = {
            **self.site.environ,
            "PYTHONPATH": str(ROOT),
            "PATH": "/usr/bin:/bin",
            "SORUNLIB_CONFIG": str(config),
            "SMURFQ_OCS_PATIENCE_S": "10",
            "OCS_CONFIG_DIR": str(self._folder),
        }
        done = python(environ, "-c", SCHEDULE + text, cwd=self._folder, within_s=1500)
        assert done.returncode == 0, done.stdout + done.stderr
        print(done.stdout)
        told = [json.loads(line.removeprefix("TOLD ")) for line in done.stdout.splitlines() if line.startswith("TOLD ")]
        return {item["what"]: item for item in told}

    def newest(self, operation: str, slot: str) -> SessionRecord:
        """The whole record of an operation's newest run."""
        client = self.site.slot(slot)
        newest = next(found for found in client.history(50) if found.op_name == operation)
        return client.run(newest.session_id).record()


@pytest.fixture(scope="module")
def schedules(sim_site: SimSite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Schedules]:
    """The simulated site, with workers of two slots."""
    sim_site.start_worker(USED[1])
    yield Schedules(sim_site, tmp_path_factory.mktemp("schedules"))
    if (process := sim_site.processes.pop(f"worker-{USED[1]}", None)) is not None:
        sim_site.stop(process)


def both(told: dict[str, Any]) -> bool:
    """Whether sorunlib still commands both slots."""
    return bool(told["clients"] == [f"pysmurf-controller-{slot}" for slot in USED])


def test_a_night_of_sorunlib(schedules: Schedules) -> None:
    site = schedules.site
    told = schedules.run(f"""
run.smurf.take_bgmap(tag="first")
run.smurf.iv_curve(tag="cal", iv_kwargs={QUICK_IV})
run.smurf.bias_dets(rfrac=0.5)
run.smurf.bias_step(tag="before")
tell("biased")
run.smurf.stream("on", subtype="cmb", tag="night", downsample_factor=20)
tell("streaming", data=[client.stream.status().session["data"] for client in run.CLIENTS["smurf"]])
run.smurf.stream("off")
tell("closed")
run.smurf.take_noise(concurrent=True)
run.smurf.set_targets(["pysmurf-controller-{USED[1]}"])
run.smurf.set_biases(1.0, [1, 2], concurrent=False, settling_time=0)
tell("one")
run.initialize()
run.smurf.zero_biases()
run.smurf.shutdown()
tell("end")
""")
    assert all(both(told[what]) for what in ("initialize", "biased", "closed", "end"))
    assert told["one"]["clients"] == [f"pysmurf-controller-{USED[1]}"]
    assert [data["stream_on"] for data in told["streaming"]["data"]] == [True, True]
    for slot, data in zip(USED, told["streaming"]["data"], strict=True):
        assert data["stream_id"] == stream_id(slot)
        for operation in ("take_bgmap", "take_iv", "bias_dets", "take_bias_steps", "take_noise", "all_off"):
            assert schedules.newest(operation, slot).success, (operation, slot)
        truth = site.truth(slot)
        assert schedules.newest("take_bias_steps", slot).data["biased_total"] == truth["responsive"].sum()
        stream = schedules.newest("stream", slot)
        assert stream.params["subtype"] == "cmb"
        assert stream.success
        assert list(Path(site.options.folders.timestreams).rglob(f"{data['sid']}_*.g3"))
        state = site.read(slot)
        assert (state["streaming"], state["open"], state["biases"]) == (0, 0, [0.0] * 12)
    assert schedules.newest("set_biases", USED[1]).params == {"bias": 1.0, "bgs": [1, 2]}


def test_a_slot_that_fails_is_dropped_and_the_schedule_continues(schedules: Schedules) -> None:
    schedules.site.fault(USED[0], silent=True)
    try:
        told = schedules.run("""
run.smurf.set_biases(0.5)
tell("biased")
try:
    run.smurf.uxm_relock(test_mode=True)  # as the PysmurfController, smurfq has no such parameter
except RuntimeError as error:
    tell("halted", error=str(error))
""")
    finally:
        schedules.site.fault(USED[0])
    assert told["biased"]["clients"] == [f"pysmurf-controller-{USED[1]}"]
    failed = schedules.newest("set_biases", USED[0])
    assert failed.error is not None
    assert f"the card of {USED[0]} does not answer" in failed.error["message"]
    assert schedules.newest("set_biases", USED[1]).success
    assert told["halted"]["clients"] == []
    assert "Functional SMuRF count below failure threshold (0 < 1)" in told["halted"]["error"]


def test_a_worker_that_is_killed_does_not_hold_the_schedule_up(schedules: Schedules) -> None:
    site = schedules.site
    with ThreadPoolExecutor(1) as beside:
        found = beside.submit(schedules.run, "run.smurf.take_noise()\ntell('noise')\n")
        slot = site.slot(USED[1])
        eventually(lambda: (run := slot.running()) is not None and run.header().op_name == "take_noise", 120)
        process = site.processes.pop(f"worker-{USED[1]}")
        for each in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
            each.kill()
        process.wait()
        told = found.result()
    site.start_worker(USED[1])
    assert told["noise"]["clients"] == [f"pysmurf-controller-{USED[0]}"]
    assert schedules.newest("take_noise", USED[0]).success
    assert not schedules.newest("take_noise", USED[1]).success


def test_sorunlib_sets_up_and_relocks_a_band(schedules: Schedules) -> None:
    site, band = schedules.site, radio.BAND
    for slot in USED:
        radio.make_quick(site, slot)
        radio.set_device(site, slot, active_bands=[band])
    told = schedules.run("""
run.smurf.uxm_setup()
tell("set up")
run.smurf.uxm_relock()
tell("relocked")
""")
    assert both(told["set up"])
    assert both(told["relocked"])
    for slot in USED:
        setup, relock = (schedules.newest(operation, slot) for operation in ("uxm_setup", "uxm_relock"))
        assert setup.success
        assert relock.success
        assert relock.tunefile == setup.tunefile
        assert relock.data["all_det_num"][band] == len(radio.tune_of(setup, band)[0])
        assert relock.data["all_det_num"][band] >= relock.data["good_det_num"][band] > 0
        assert relock.data["all_det_num"].count(0) == 7
