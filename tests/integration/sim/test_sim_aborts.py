"""Aborts on the simulated slot, in each stage: the card is safe afterwards, and works."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from smurfq.client import Run
from smurfq.core.session import SessionRecord
from tests.integration.records import error_of
from tests.site.eventually import eventually
from tests.site.simulated import LONG_S, SLOTS, SimSite

pytestmark = [pytest.mark.slot, pytest.mark.slow, pytest.mark.timeout(900)]

PATIENT, SLOT = SLOTS[:2]
ABORT_GRACE_S = 0.5  # less than sodetlib takes to close a stream: the signal comes while it cleans up
BIAS_V = 2.0
SWEEP = {"bias_high": 16.0, "bias_step": 0.1, "wait_time": 0.2, "overbias_wait": 0.2, "show_plots": False}
IV = {**SWEEP, "cool_wait": 0.3}
COOLING_IV = {**SWEEP, "cool_wait": 100.0}  # no safe point while it waits
STEPS = {"bgs": [3, 4], "step_duration": 1.0, "nsteps": 60, "hcm_wait_time": 0.2, "show_plots": False}


@pytest.fixture(scope="module")
def site(sim_site: SimSite) -> Iterator[SimSite]:
    """The simulated site with a second worker, which soon loses its patience."""
    sim_site.start_worker(SLOT, SMURFQ_LIMITS_ABORT_GRACE_S=str(ABORT_GRACE_S), SMURFQ_LIMITS_KILL_GRACE_S="90")
    sim_site.succeeded("take_bgmap", SLOT, kwargs={"nsteps": 6, "hcm_wait_time": 0.2})  # take_iv goes by it
    yield sim_site


@pytest.fixture(autouse=True)
def _another_operation_runs(site: SimSite) -> Iterator[None]:
    yield
    site.succeeded("set_biases", SLOT, bias=1.0)
    assert site.read(SLOT)["biases"] == pytest.approx([1.0] * 12, abs=1e-4)
    site.succeeded("zero_biases", SLOT)


def aborted(run: Run, *in_stage: str, grace_s: float | None = None) -> SessionRecord:
    """The record of a run that is aborted now, and ends in this stage, or in one of these."""
    run.abort("tester", "enough", grace_s=grace_s)
    record = run.wait(LONG_S)
    assert record.outcome == "aborted", record.error
    stages = [name for name, _ in record.stages if name.startswith("abort")]
    assert stages[-1].removeprefix("abort: ") in in_stage, record.stages
    assert record.complete
    return record


def is_quiet(state: dict[str, Any]) -> bool:
    return not any(state[name] for name in ("streaming", "open", "session_id", "playback"))


def cooling(site: SimSite) -> Run:
    """An IV that waits with high biases and an open stream, and comes to no safe point for long."""
    run = site.slot(SLOT).submit("take_iv", kwargs=COOLING_IV)
    site.until(lambda state: state["open"] == 1 and any(state["biases"]), SLOT, "its stream is open at high biases")
    return run


def stepping(site: SimSite, slot: str = SLOT, **more: Any) -> Run:
    """Bias steps that play on a bias group now, the biases being BIAS_V."""
    site.succeeded("set_biases", slot, bias=BIAS_V)
    run = site.slot(slot).submit("take_bias_steps", kwargs={**STEPS, **more})
    site.until(lambda state: state["open"] == 1 and state["playback"], slot, "it plays while its stream is open")
    return run


def streaming(site: SimSite) -> Run:
    """A stream, the biases being BIAS_V."""
    site.succeeded("set_biases", SLOT, bias=BIAS_V)
    run = site.slot(SLOT).submit("stream", tag="long")
    site.in_stage(run, "streaming")
    assert site.read(SLOT)["session_id"] == run.record().data["sid"]
    return run


def test_an_iv_that_is_asked_ends_at_its_next_bias_and_cleans_up_in_peace(site: SimSite) -> None:
    run = site.slot(SLOT).submit("take_iv", kwargs=IV)
    eventually(lambda: "Starting TES Bias Ramp" in run.record().log, LONG_S)
    state = site.read(SLOT)
    assert state["open"] == 1
    assert any(state["biases"])
    record = aborted(run, "asked", "signalled")
    assert "next safe point" in error_of(record)["message"]
    state = site.read(SLOT)
    assert is_quiet(state), state
    assert state["biases"] == [0.0] * 12


def test_an_iv_that_waits_is_interrupted(site: SimSite) -> None:
    record = aborted(cooling(site), "signalled")
    assert "interrupted" in error_of(record)["message"]
    state = site.read(SLOT)
    assert is_quiet(state), state
    assert state["biases"] == [0.0] * 12


def test_an_iv_that_is_killed_has_its_card_made_safe(site: SimSite) -> None:
    record = aborted(cooling(site), "killed", grace_s=0)
    assert record.data["make_safe"]["safe"] is True
    text = record.data["make_safe"]["text"]
    assert text.startswith("turned off: streaming, the g3 file (session ")
    assert "biases of groups " in text
    state = site.read(SLOT)
    assert is_quiet(state), state
    assert state["biases"] == [0.0] * 12


def test_bias_steps_have_no_safe_point_and_end_as_they_always_do(site: SimSite) -> None:
    site.await_worker(PATIENT)
    run = stepping(site, PATIENT, nsteps=1, bgs=[3], step_duration=0.5, run_analysis=False)
    record = aborted(run, "asked")
    assert "next safe point" in error_of(record)["message"]
    state = site.read(PATIENT)
    assert is_quiet(state), state
    assert state["biases"] == pytest.approx([BIAS_V] * 12, abs=1e-3)
    site.succeeded("zero_biases", PATIENT)


def test_bias_steps_that_are_interrupted_stop_playing_and_leave_the_biases_as_they_were(site: SimSite) -> None:
    record = aborted(stepping(site), "signalled")
    assert record.data["make_safe"]["text"].startswith("turned off: waveform playback")
    state = site.read(SLOT)
    assert is_quiet(state), state
    assert state["biases"] == pytest.approx([BIAS_V] * 12, abs=2e-3)


def test_bias_steps_that_are_killed_have_their_card_made_safe(site: SimSite) -> None:
    record = aborted(stepping(site), "killed", grace_s=0)
    text = record.data["make_safe"]["text"]
    assert text.startswith("turned off: streaming, the g3 file (session ")
    assert "waveform playback, biases of groups 0-11 (" in text  # fewer volts where it was in high-current mode
    state = site.read(SLOT)
    assert is_quiet(state), state
    assert state["biases"] == [0.0] * 12


def test_a_stream_that_is_asked_closes_its_file(site: SimSite) -> None:
    run = streaming(site)
    record = aborted(run, "asked", "signalled")
    assert "next safe point" in error_of(record)["message"]
    assert record.data["stream_on"] is False
    state = site.read(SLOT)
    assert is_quiet(state), state
    assert state["biases"] == pytest.approx([BIAS_V] * 12, abs=1e-4)


def test_a_stream_that_is_interrupted_while_it_opens_is_closed(site: SimSite) -> None:
    run = site.slot(SLOT).submit("stream", kwargs={"filter_wait_time": 60})
    eventually(lambda: site.read(SLOT)["streaming"], LONG_S)
    aborted(run, "signalled")
    state = site.read(SLOT)
    assert is_quiet(state), state


def test_a_stream_that_is_killed_has_its_card_made_safe(site: SimSite) -> None:
    record = aborted(streaming(site), "killed", grace_s=0)
    text = record.data["make_safe"]["text"]
    assert text.startswith("turned off: streaming, the g3 file (session ")
    assert "biases of groups 0-11 (2 V)" in text
    state = site.read(SLOT)
    assert is_quiet(state), state
    assert state["biases"] == [0.0] * 12
    assert site.succeeded("stream", SLOT, duration=1.0).data["sid"] != record.data["sid"]
