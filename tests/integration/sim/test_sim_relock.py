"""`uxm_relock` and control scripts with the unmodified libraries, on cards that are set up.

The shipped workflow ``morning_relock`` runs on one slot while relocks on another fail and are aborted: what
takes minutes waits for nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smurfq import workflows
from smurfq.app import app
from smurfq.client import Run
from smurfq.client.connection import Connection
from smurfq.store.feeds import Feeds
from smurfq.workflows import WorkflowRun
from tests.integration.records import error_of
from tests.site import radio
from tests.site.eventually import eventually
from tests.site.process_group import ROOT
from tests.site.radio import (
    BAND,
    DETECTORS,
    IMPATIENT,
    QUICK_IV,
    SCAN_S,
    WITHIN_S,
    Reader,
    in_stage,
    says,
    stages,
)
from tests.site.simulated import SLOTS, SimSite

pytestmark = [pytest.mark.slot, pytest.mark.slow, pytest.mark.timeout(900)]

RELOCKED, ABORTED, SCRIPTED = SLOTS
RELOCK_STAGES = ["setup_amps", "load_tune", "tracking_setup", "noise", "bg_map", "end"]
MORNING = {
    "bands": [BAND],
    "rfrac": 0.5,
    "noise_s": 10.0,
    "cool_s": 1.0,
    "settle_s": 1.0,
    "iv_kwargs": QUICK_IV,
    "noise_kwargs": {"nperseg": 512, "show_plot": False},
}
EVERYTHING = f"""
import os
import numpy as np
import sodetlib
from sodetlib.det_config import DetConfig

BAND = {BAND}
config = DetConfig()
config.load_config_files(slot=int(os.environ["SLOT"]))
S = config.get_smurf_control()
told = lambda name, value: sodetlib.set_session_data(S, name, value)

told("setup", bool(S.setup()))

S.set_amp_drain_voltage("hemt1", 0.6)
S.set_amp_drain_voltage("50k1", 4.0)
before = S.get_amplifier_biases()
S.set_amp_gate_voltage("hemt1", before["hemt1_gate_volt"] + 0.1, override=True)
after = S.get_amplifier_biases()
S.set_amp_gate_voltage("hemt1", before["hemt1_gate_volt"], override=True)
told("amplifiers", [before["hemt1_drain_current"], after["hemt1_drain_current"]])
told("temperature", S.C.read_temperature())

S.set_att_uc(BAND, 15)
S.set_att_dc(BAND, 15)
f, response = S.full_band_resp(BAND, make_plot=False, show_plot=False, save_plot=False)
told("response", [len(f), bool(np.isfinite(response).all())])
told("adc_saturated", bool(S.check_adc_saturation(BAND)))

S.load_tune(config.dev.exp["tunefile"])
S.relock(BAND)
S.run_serial_gradient_descent(BAND)
S.run_serial_eta_scan(BAND)
on = S.which_on(BAND)
told("on", len(on))
freq, swept = S.full_band_ampl_sweep(BAND, [S.get_subband_from_channel(BAND, int(on[0]))], 12, 2)
told("swept", int(np.count_nonzero(swept)))
S.relock(BAND)
S.run_serial_eta_scan(BAND)
S.flux_ramp_setup(4.0, 0.4)
S.flux_ramp_on()
f, df, sync = S.take_debug_data(BAND, nsamp=2**18, IQstream=0, single_channel_readout=0)
told("debug", [int((np.ptp(df, axis=0) > 0).sum()), len(S.make_sync_flag(sync))])
S.all_off()
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimSite]:
    """A site of three tuned slots."""
    pytest.importorskip("caproto")
    with SimSite(tmp_path_factory.mktemp("relock") / "site", **DETECTORS) as made:
        shutil.copy(ROOT / "examples" / "scripts" / "tune_band.py", made.scripts)
        made.start_workflows(wait=False, SMURFQ_WORKFLOWS_AT_ONCE="1")
        made.start_worker(RELOCKED, slots=SLOTS, wait=True, **IMPATIENT)
        yield made


@pytest.fixture(scope="module")
def reader(site: SimSite) -> Iterator[Reader]:
    """What reads the slot whose relocks are aborted."""
    made = Reader(site, ABORTED)
    yield made
    made.close()


@pytest.fixture(scope="module")
def morning(site: SimSite) -> WorkflowRun:
    """A whole morning relock, submitted; relocks may run on other slots meanwhile."""
    return workflows.submit("morning_relock", MORNING, slots=[RELOCKED], connection=Connection(site.settings))


@pytest.fixture(scope="module")
def scripts(site: SimSite) -> dict[str, Run]:
    """Two scripts, one after the other, submitted."""
    submit = site.slot(SCRIPTED).submit
    everything = site.script("everything.py", EVERYTHING)
    tune = str(site.scripts / "tune_band.py")
    return {
        "everything": submit("run", script=everything),
        "tune_band": submit("run", script=tune, args=["--bands", str(BAND + 1), "--keep"]),
    }


@pytest.fixture(autouse=True)
def _under_way(morning: WorkflowRun, scripts: dict[str, Run]) -> None:
    """Both are submitted before the first test, whichever that is."""


def aborted(reader: Reader, run: Run, *, amplifiers: bool) -> None:
    """Abort a relock now; afterwards the slot is as it must be."""
    run.abort("tester", "enough")
    record = run.wait(WITHIN_S)
    assert record.outcome == "aborted", record.error
    assert any(text.startswith("left untuned; turned off: tones") for _, text in record.messages), record.messages
    reader.assert_untuned(amplifiers=amplifiers)


@pytest.mark.parametrize(
    ("stage", "held_by", "amplifiers"),
    [
        ("load_tune", {"scans_stall": True}, True),
        ("tracking_setup", {"no_captures": True}, True),
        ("noise", {}, True),
        ("bg_map", {}, True),
        ("setup_amps", {"stuck_amplifiers": ["hemt1"]}, False),
    ],
)
def test_an_abort_in_any_stage_leaves_the_slot_untuned(
    site: SimSite, reader: Reader, stage: str, held_by: dict[str, Any], amplifiers: bool
) -> None:
    if stage == "setup_amps":
        radio.set_device(site, ABORTED, amp_step_wait_time=1.0, amp_hemt1_drain_current=30.0)
    site.fault(ABORTED, **held_by)
    run = site.slot(ABORTED).submit("uxm_relock", bands=[BAND])
    in_stage(run, stage)
    if stage == "setup_amps":
        says(run, "scanning for correct gate voltage")
    aborted(reader, run, amplifiers=amplifiers)
    site.fault(ABORTED)


def test_a_relock_that_was_killed_has_its_slot_left_untuned(site: SimSite, reader: Reader) -> None:
    radio.set_device(site, ABORTED, amp_step_wait_time=0.01, amp_hemt1_drain_current=8.0)
    site.fault(ABORTED, scans_stall=True)
    run = site.slot(ABORTED).submit("uxm_relock", bands=[BAND])
    in_stage(run, "load_tune")
    eventually(lambda: reader.read()["tones"], WITHIN_S, "tones are on", every_s=0.1)
    run.abort("tester", "enough", grace_s=0)
    record = run.wait(WITHIN_S)
    assert record.outcome == "aborted"
    assert record.data["make_safe"]["text"].endswith(
        "left untuned; turned off: tones, flux ramp, biases; amplifiers were not changed"
    )
    reader.assert_untuned(amplifiers=True)
    site.fault(ABORTED)


def test_a_scan_that_stalls_fails_the_relock_and_keeps_its_summary(site: SimSite) -> None:
    site.fault(ABORTED, scans_stall=True)
    record = site.run("uxm_relock", ABORTED, WITHIN_S, bands=[BAND])
    site.fault(ABORTED)
    assert record.outcome == "failed"
    assert error_of(record)["type"] == "OperationFailedError"
    assert f"gradient descent of band {BAND} within {SCAN_S:g} s: it has stalled" in error_of(record)["message"]
    assert [name for name, _ in record.data["summary"]["timestamps"]] == ["setup_amps", "load_tune"]


def test_a_relock_locks_what_is_there_and_counts_it(site: SimSite, morning: WorkflowRun) -> None:
    record = radio.step_done(site, morning, "uxm_relock", RELOCKED)
    assert stages(record) == RELOCK_STAGES
    assert "Relocking tune: Band 0" in [text for _, text in record.messages]
    data = record.data
    assert Path(data["filepath"]).is_file()
    assert {"tracking_data", "tracking_summary"} <= {file.get("type") for file in record.files}

    truth = site.resonators(RELOCKED)
    tuned = (truth["band"] == BAND) & (truth["channel"] >= 0) & (truth["detector"] >= 0)
    good = tuned & (truth["kind"] == "good")
    assert data["all_det_num"] == [int(tuned.sum()), *[0] * 7]
    assert data["good_det_num"] == [int(good.sum()), *[0] * 7]
    block = Feeds(app.store).latest("tracking_results", slot=RELOCKED)[0].data
    assert (block["alldet_band0"], block["gooddet_band0"]) == (tuned.sum(), good.sum())
    assert [block[f"alarm_band{band}"] for band in range(8)] == [0, *[1] * 7]


def test_a_morning_relock_is_reported_to_its_end(site: SimSite, morning: WorkflowRun) -> None:
    steps = ("zero_biases", "uxm_relock", "take_noise", "take_iv", "bias_dets", "take_noise")
    radio.assert_succeeded(site, morning, *steps, name="morning_relock", slot=RELOCKED)
    first, *_, last = (step for step in morning.status().steps if step.name == "take_noise")
    records = [site.slot(RELOCKED).run(step.ids[RELOCKED]).record() for step in (first, last)]
    assert [record.params["tag"] for record in records] == ["res_check", "bias_check"]
    waits = [text for _, text in morning.record().messages if text.startswith("waits ")]
    assert [text.split()[1] for text in waits] == ["1", "1"]
    noise = records[1].data["quantiles"]["white_noise_level"]
    level = dict(zip(noise["labels"], noise["values"], strict=True))
    assert 10 < level["white_noise_level_q50"] < 200
    read = site.read(RELOCKED)
    assert read["session_id"] == 0
    assert any(4 < volts < 8 for volts in read["biases"])


def test_a_persons_own_script_may_use_all_of_pysmurf(site: SimSite, scripts: dict[str, Run]) -> None:
    record = scripts["everything"].wait(WITHIN_S)
    assert record.outcome == "succeeded", (record.error, record.log[-3000:])
    data, truth = record.data, site.resonators(SCRIPTED)
    tuned = (truth["band"] == BAND) & (truth["channel"] >= 0) & (truth["detector"] >= 0)
    assert data["setup"] is True
    before, after = data["amplifiers"]
    assert after - before == pytest.approx(1.0, rel=0.1)  # mA, for 0.1 V of gate
    assert 0 < data["temperature"] < 60
    assert data["response"][1] is True
    assert data["adc_saturated"] is False
    assert data["on"] == tuned.sum()
    assert data["swept"] > 20
    assert data["debug"][0] == tuned.sum()
    assert data["debug"][1] > 2


def test_the_example_script_tunes_a_band(site: SimSite, scripts: dict[str, Run]) -> None:
    record = scripts["tune_band"].wait(WITHIN_S)
    assert record.outcome == "succeeded", (record.error, record.log[-3000:])
    band = str(BAND + 1)
    truth = site.resonators(SCRIPTED)
    there = truth["band"] == BAND + 1
    good = there & (truth["kind"] == "good") & (truth["channel"] >= 0)
    assert record.data["delay_us"][band] == pytest.approx(2.46 + 0.03 * (BAND + 1), abs=0.01)
    assert good.sum() <= record.data["found"][band] <= there.sum()
    assert good.sum() <= record.data["assigned"][band] <= record.data["found"][band]
    assert record.data["tracking"][band] >= 0.9 * good.sum()
    tune = np.load(record.data["tunefile"], allow_pickle=True).item()
    assert len(tune[BAND + 1]["resonances"]) == record.data["found"][band]
