"""`uxm_setup` with the unmodified libraries on cards that were never set up: cold start, failures, aborts.

The shipped workflow ``cold_start`` runs on one slot while setups on others fail and are aborted: what takes minutes
waits for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smurfq import workflows
from smurfq.client import Run
from smurfq.client.connection import Connection
from smurfq.core.session import SessionRecord
from smurfq.workflows import WorkflowRun
from tests.integration.records import error_of
from tests.site import radio
from tests.site.radio import (
    BAND,
    DETECTORS,
    IMPATIENT,
    QUICK_BGMAP,
    QUICK_IV,
    SCAN_S,
    WITHIN_S,
    Reader,
    in_stage,
    says,
    stages,
    tune_of,
)
from tests.site.simulated import SLOTS, SimSite

pytestmark = [pytest.mark.slot, pytest.mark.slow, pytest.mark.timeout(900)]

CHAIN, FAILING, ABORTED = SLOTS
SETUP_STAGES = ["setup_amps", "estimate_attens", "setup_phase_delay", "setup_tune", "setup_tracking", "noise", "end"]
SETUP: dict[str, Any] = {"bands": [BAND], "kwargs": {"show_plots": False}}
WITHOUT_DELAY: dict[str, Any] = {"bands": [BAND], "kwargs": {"show_plots": False, "skip_phase_delay": True}}
COLD_START = {
    "bands": [BAND],
    "rfrac": 0.5,
    "noise_s": 10.0,
    "setup_kwargs": {"show_plots": False},
    "bgmap_kwargs": QUICK_BGMAP,
    "iv_kwargs": QUICK_IV,
    "noise_kwargs": {"nperseg": 512, "show_plot": False},
}


class ColdSite(SimSite):
    """A simulated site whose cards were never set up, and the cold start that is under way on the first of them."""

    cold_start: WorkflowRun
    readers: dict[str, Reader]

    def done(self, operation: str) -> SessionRecord:
        """The record of the cold start's operation, once it has succeeded."""
        return radio.step_done(self, self.cold_start, operation, CHAIN)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ColdSite]:
    """A cold site of three slots."""
    pytest.importorskip("caproto")
    with (
        ColdSite(tmp_path_factory.mktemp("cold") / "site", SMURFQ_SIM_COLD="true", **DETECTORS) as made,
        ExitStack() as readers,
    ):
        for slot in SLOTS:
            radio.make_quick(made, slot)
        made.start_workflows(wait=False, SMURFQ_WORKFLOWS_AT_ONCE="1")
        made.start_worker(CHAIN, slots=SLOTS, wait=True, **IMPATIENT)
        made.readers = {slot: readers.enter_context(closing(Reader(made, slot))) for slot in (FAILING, ABORTED)}
        at = Connection(made.settings)
        made.cold_start = workflows.submit("cold_start", COLD_START, slots=[CHAIN], connection=at)
        yield made


@pytest.fixture
def faulty(site: ColdSite) -> Iterator[ColdSite]:
    """The site, whose faults are taken away again."""
    yield site
    site.fault(FAILING)


def failed(record: SessionRecord, stage: str, *words: str) -> dict[str, Any]:
    """The summary of a setup that must have failed in a stage, with these words in its error."""
    assert record.outcome == "failed", record.to_dict()
    assert error_of(record)["type"] == "OperationFailedError"
    assert stages(record)[-1] == stage, record.stages
    for text in words:
        assert text in error_of(record)["message"]
    summary: dict[str, Any] = record.data["summary"]
    assert summary["timestamps"][-1][0] == stage
    return summary


def aborted(site: ColdSite, run: Run, *, amplifiers: bool) -> SessionRecord:
    """The record of a setup that is aborted now, after which the slot is as it must be."""
    run.abort("tester", "enough")
    record = run.wait(WITHIN_S)
    assert record.outcome == "aborted", record.error
    assert record.complete
    off = "left untuned; turned off: tones, flux ramp, biases"
    told = f"{off}; amplifiers were not changed" if amplifiers else f"{off}, amplifiers"
    assert told in [text for _, text in record.messages]
    site.readers[ABORTED].assert_untuned(amplifiers=amplifiers)
    return record


def test_a_slot_that_was_never_set_up_says_so(site: ColdSite) -> None:
    for operation in ("uxm_relock", "stream"):
        record = site.run(operation, ABORTED)
        assert record.outcome == "failed"
        assert "crate1slot4 needs uxm_setup first: it has no tune" in error_of(record)["message"]


def test_an_amplifier_that_cannot_be_biased_fails_the_setup(faulty: ColdSite) -> None:
    faulty.fault(FAILING, stuck_amplifiers=["hemt1"])
    record = faulty.run("uxm_setup", FAILING, WITHIN_S, **SETUP)
    summary = failed(record, "setup_amps", "sodetlib reports that uxm_setup on crate1slot3 failed at stage setup_amps")
    assert summary["setup_amps"]["success"] is False
    assert record.data["setup_amps_summary"]["success"] is False
    assert "Failed determining hemt1 bias voltage" in [text for _, text in record.messages]
    faulty.readers[FAILING].assert_untuned(amplifiers=False)


def test_a_scan_that_stalls_fails_the_setup_and_is_named(faulty: ColdSite) -> None:
    faulty.fault(FAILING, scans_stall=True)
    record = faulty.run("uxm_setup", FAILING, WITHIN_S, **SETUP)
    summary = failed(
        record, "estimate_attens", f"did not end its frequency sweep of band {BAND} within {SCAN_S:g} s: it has stalled"
    )
    assert summary["setup_amps"]["success"] is True
    faulty.readers[FAILING].assert_untuned(amplifiers=True)


def test_a_band_without_resonators_fails_the_setup(faulty: ColdSite) -> None:
    faulty.fault(FAILING, no_resonators=[BAND])
    record = faulty.run("uxm_setup", FAILING, WITHIN_S, **WITHOUT_DELAY)
    failed(record, "setup_tune", f"no resonator was found in band {BAND} of {FAILING}")
    faulty.readers[FAILING].assert_untuned(amplifiers=True)


def test_an_abort_while_gates_are_searched_turns_the_amplifiers_off(site: ColdSite) -> None:
    radio.set_device(site, ABORTED, amp_step_wait_time=1.0)
    run = site.slot(ABORTED).submit("uxm_setup", **SETUP)
    says(run, "scanning for correct gate voltage")
    aborted(site, run, amplifiers=False)
    radio.set_device(site, ABORTED, amp_step_wait_time=0.01)


@pytest.mark.parametrize(
    ("stage", "held_by"),
    [
        ("estimate_attens", {"scans_stall": True}),
        ("setup_phase_delay", {"no_captures": True}),
        ("setup_tune", {}),
        ("setup_tracking", {"no_captures": True}),
        ("noise", {}),
    ],
)
def test_an_abort_in_any_stage_leaves_the_slot_untuned(site: ColdSite, stage: str, held_by: dict[str, bool]) -> None:
    site.fault(ABORTED, **held_by)
    run = site.slot(ABORTED).submit("uxm_setup", **(SETUP if stage == "setup_phase_delay" else WITHOUT_DELAY))
    in_stage(run, stage)
    record = aborted(site, run, amplifiers=True)
    assert [name for name in stages(record) if not name.startswith("abort")][-1] == stage
    site.fault(ABORTED)


def test_the_setup_finds_the_true_values(site: ColdSite) -> None:
    record = site.done("uxm_setup")
    assert stages(record) == SETUP_STAGES
    texts = [text for _, text in record.messages]
    for text in ("Starting setup_amps", "Find Freq: band 0", "Setup Notches: band 0"):
        assert text in texts
    data = record.data
    assert data["setup_amps_summary"]["success"] is True
    assert data["setup_amps_summary"]["hemt1_drain_current"] == pytest.approx(8.0, abs=0.21)
    assert data["setup_phase_delay"]["bands"] == [BAND]
    assert data["setup_phase_delay"]["band_delay_us"] == pytest.approx([2.46], abs=0.01)
    assert len(data["noise"]["band_medians"]) == 8
    kinds = {file.get("type") for file in record.files}
    assert {"find_freq", "delay", "tune", "tracking_data", "master_assignment"} <= kinds

    truth = site.resonators(CHAIN)
    at, channel, kind, width = (
        truth[name][truth["band"] == BAND] for name in ("frequency_mhz", "channel", "kind", "bandwidth_mhz")
    )
    found, assigned = tune_of(record)
    nearest = np.abs(found[:, None] - at[None, :]).argmin(axis=1)
    assert (np.abs(found - at[nearest]) < width[nearest] / 2).all()  # none is found where none is
    expected = np.flatnonzero((channel >= 0) & (kind != "lossy")).tolist()
    by_resonator = dict(zip(nearest.tolist(), assigned.tolist(), strict=True))
    assert {n: by_resonator.get(n) for n in expected} == {n: int(channel[n]) for n in expected}


def test_operations_after_a_setup_use_its_tune(site: ColdSite) -> None:
    tune = site.done("uxm_setup")
    truth, resonators = site.truth(CHAIN), site.resonators(CHAIN)
    bgmap = site.done("take_bgmap")
    wired = np.flatnonzero((truth["band"] == BAND) & truth["responsive"])
    wired = wired[np.isin(wired, resonators["detector"][resonators["kind"] == "good"])]
    groups = np.bincount(truth["bias_group"][wired], minlength=12)
    assert bgmap.data["nchans_per_bg"][:12] == groups.tolist()

    iv = site.done("take_iv")
    assert iv.tunefile == tune.tunefile
    measured = dict(zip(iv.data["quantiles"]["Rn"]["labels"], iv.data["quantiles"]["Rn"]["values"], strict=True))
    assert measured["Rn_q50"] == pytest.approx(np.nanmedian(truth["R_n"][wired]), rel=0.01)

    biases = np.array(site.done("bias_dets").data["biases"])
    assert ((biases > 4) & (biases < 8))[groups > 0].all()

    noise = site.done("take_noise").data["quantiles"]["white_noise_level"]
    level = dict(zip(noise["labels"], noise["values"], strict=True))["white_noise_level_q50"]
    assert level == pytest.approx(np.median(truth["white_noise_pa"][wired]), rel=0.3)

    stream = site.succeeded("stream", CHAIN, duration=2.0, tag="cmb")
    files = list(Path(site.options.folders.timestreams).rglob(f"{stream.data['sid']}_*.g3"))
    assert files
    assert all(path.stat().st_size for path in files)


def test_a_cold_start_is_reported_to_its_end(site: ColdSite) -> None:
    steps = ("uxm_setup", "take_bgmap", "take_iv", "bias_dets", "take_noise")
    radio.assert_succeeded(site, site.cold_start, *steps, name="cold_start", slot=CHAIN)


def test_the_registers_of_the_setup_are_known_for_the_next_one(site: ColdSite) -> None:
    site.done("uxm_setup")
    names = (site.settings.state_dir.absolute() / "registers" / CHAIN / "uxm_setup.json").read_text()
    assert f"SysgenCryo:Base[{BAND}]:CryoChannels:runSerialGradientDescent" in names
    assert "smurf_server_s2:" in names
    assert "smurf_server_s3:" not in names
