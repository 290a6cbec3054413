"""The card after a run on the simulated slot: what the run switched on is switched off or reported."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from smurfq.client import Run
from smurfq.core.session import SessionRecord
from tests.site.eventually import eventually
from tests.site.simulated import DACS, LONG_S, SLOTS, SimSite

pytestmark = [pytest.mark.slot, pytest.mark.slow, pytest.mark.timeout(900)]

SLOT = SLOTS[1]
OPENS = f"""
import json, time
import numpy as np
from sodetlib import stream
from sodetlib.det_config import DetConfig

config = DetConfig()
config.load_config_files(slot={SLOT[-1]})
S = config.get_smurf_control()
S.load_tune(config.dev.exp["tunefile"])
"""
BIASES = "for group in range(12):\n    S.set_tes_bias_bipolar(group, {volts})\n"
STREAMS = "print('session', stream.stream_g3_on(S, filter_wait_time=0.2))\n"
WAITS = "print('waits')\nwhile True:\n    time.sleep(0.1)\n"


@pytest.fixture(scope="module")
def site(sim_site: SimSite) -> Iterator[SimSite]:
    """The simulated site with a second worker, which soon loses its patience."""
    sim_site.start_worker(SLOT, SMURFQ_LIMITS_ABORT_GRACE_S="0.5", SMURFQ_LIMITS_KILL_GRACE_S="90")
    yield sim_site


@pytest.fixture(autouse=True)
def _quiet_card(site: SimSite) -> Iterator[None]:
    site.succeeded("zero_biases", SLOT)
    yield
    site.succeeded("run", SLOT, script=site.script("close.py", OPENS + "stream.stream_g3_off(S)\n"))
    site.succeeded("zero_biases", SLOT)
    assert site.slot(SLOT).status().left_on is None


def submitted(site: SimSite, name: str, *parts: str) -> Run:
    """A script of these parts, submitted."""
    return site.slot(SLOT).submit("run", script=site.script(f"{name}.py", OPENS + "".join(parts)))


def is_at_start(state: dict[str, Any], bias_v: float = 0.0) -> bool:
    """Whether no stream is open, nothing plays, and all biases are ``bias_v``."""
    is_quiet = not any(state[name] for name in ("streaming", "open", "session_id", "playback"))
    return is_quiet and bool(state["biases"] == pytest.approx([bias_v] * 12, abs=1e-3))


def messages(record: SessionRecord) -> str:
    """The messages of a record."""
    return "\n".join(text for _, text in record.messages)


@pytest.mark.parametrize(("grace_s", "stage"), [(None, "signalled"), (0.0, "killed")])
def test_an_aborted_script_that_cleans_up_nothing_leaves_its_card_quiet(
    site: SimSite, grace_s: float | None, stage: str
) -> None:
    run = submitted(site, f"hostile-{stage}", BIASES.format(volts=10.0), STREAMS, WAITS)
    eventually(lambda: "waits" in run.record().log, LONG_S)
    state = site.read(SLOT)
    assert state["open"] == 1
    assert state["biases"] == pytest.approx([10.0] * 12, abs=1e-3)
    run.abort("tester", "enough", grace_s=grace_s)
    record = run.wait(LONG_S)
    assert record.outcome == "aborted"
    assert record.error is not None
    assert record.error["stage"] == stage
    state = site.read(SLOT)
    assert is_at_start(state), state
    after = record.data["make_safe"]
    assert after["safe"] is True, after
    assert after["left_on"] == ""
    assert f"the g3 file (session {after['found']['session_id']})" in after["text"]
    assert "biases of groups 0-11 (10 V)" in after["text"]
    assert record.error["message"].endswith(f"the card: {after['text']}")
    assert f"the card: {after['text']}" in messages(record)
    assert site.slot(SLOT).status().left_on is None
    sid = site.succeeded("stream", SLOT, duration=1.0).data["sid"]
    assert sid != after["found"]["session_id"]


def test_a_script_that_fails_has_its_biases_put_back_to_those_at_its_start(site: SimSite) -> None:
    site.succeeded("set_biases", SLOT, bias=2.0)
    raised = BIASES.format(volts=3.0)
    record = submitted(site, "fails", raised, "raise RuntimeError('no luck')\n").wait(LONG_S)
    assert record.outcome == "failed"
    state = site.read(SLOT)
    assert is_at_start(state, 2.0), state
    text = "restored to their values at the start: biases of groups 0-11 (3 V)"
    assert text in record.data["make_safe"]["text"]
    assert record.error is not None
    assert record.error["message"].endswith(f"the card: {text}"), "nothing of what was on before"
    assert text in messages(record)


def test_a_bias_that_the_script_did_not_raise_stays(site: SimSite) -> None:
    site.succeeded("set_biases", SLOT, bias=2.0)
    lowers = "S.set_tes_bias_bipolar(3, 1.0)\nS.set_tes_bias_bipolar(4, 5.0)\nraise SystemExit(3)\n"
    record = submitted(site, "lowers", lowers).wait(LONG_S)
    assert record.outcome == "failed"
    biases = site.read(SLOT)["biases"]
    assert biases == pytest.approx([2.0, 2.0, 2.0, 1.0, *[2.0] * 8], abs=1e-3)


def test_high_current_mode_of_a_script_that_fails_is_turned_off(site: SimSite) -> None:
    code = "print('relays', S.get_cryo_card_relays() & 0xFFFF)\n"
    before = submitted(site, "relays", code).wait(LONG_S)
    switched = "S.set_tes_bias_high_current([0, 1])\nS.set_tes_bias_bipolar(0, 4.0)\nraise RuntimeError\n"
    record = submitted(site, "high_current", switched).wait(LONG_S)
    assert "turned off: high-current mode of bias groups 0-1" in record.data["make_safe"]["text"], record.data
    assert record.data["make_safe"]["safe"] is True
    after = submitted(site, "relays", code).wait(LONG_S)
    assert _relays(after) == _relays(before)
    assert is_at_start(site.read(SLOT))


def test_the_record_of_a_successful_script_lists_what_it_left_on(site: SimSite) -> None:
    record = submitted(site, "leaves", BIASES.format(volts=3.0), STREAMS).wait(LONG_S)
    assert record.outcome == "succeeded"
    state = site.read(SLOT)
    assert state["open"] == 1
    assert state["biases"] == pytest.approx([3.0] * 12, abs=1e-3)
    left = f"the g3 file (session {state['session_id']}), biases of groups 0-11 (3 V)"
    assert f"the card: left on: streaming, {left}" in messages(record)
    note = site.slot(SLOT).status().left_on
    assert note is not None
    assert left in str(note)
    assert note.session_id == record.session_id
    site.succeeded("all_off", SLOT, disable_amps=False, disable_tones=False)
    note = site.slot(SLOT).status().left_on
    assert note is not None
    assert note.text == "biases of groups 0-11 (3 V)", "the stream is closed now"
    assert note.session_id == record.session_id


def test_a_run_fails_if_another_stream_is_open_and_names_its_session(site: SimSite) -> None:
    assert submitted(site, "opens", STREAMS).wait(LONG_S).outcome == "succeeded"
    session = site.read(SLOT)["session_id"]
    assert session
    refused = f"a stream is open on {SLOT} that this run did not open (session {session})"
    for record in (
        site.run("stream", SLOT, duration=1.0),
        site.run("take_noise", SLOT, duration=5.0),
        submitted(site, "opens_again", STREAMS).wait(LONG_S),
    ):
        assert record.outcome == "failed"
        assert record.error is not None
        assert refused in record.error["message"]
        assert "sid" not in record.data
        assert site.read(SLOT)["session_id"] == session, "it is not this run's to close"
    assert site.slot(SLOT).status().left_on is not None
    site.succeeded("all_off", SLOT, disable_amps=False, disable_tones=False)
    assert not site.read(SLOT)["session_id"]
    assert site.slot(SLOT).status().left_on is None
    site.succeeded("stream", SLOT, duration=1.0)


def test_a_script_that_succeeds_and_changes_nothing_has_no_make_safe_in_its_record(site: SimSite) -> None:
    site.succeeded("set_biases", SLOT, bias=2.0)
    record = submitted(site, "looks", "print(S.get_tes_bias_bipolar_array())\n").wait(LONG_S)
    assert record.outcome == "succeeded"
    assert "make_safe" not in record.data
    assert "left on" not in messages(record)


RAISES = f"""
import os, subprocess, sys

def raise_biases():
    import epics
    epics.caput("smurf_server_s{SLOT[-1]}:{DACS}", [100000, -100000] * 12 + [0] * 8, wait=True)

if "again" in sys.argv:
    raise_biases()
    sys.exit({{code}})
"""
RAISED = "on now, and perhaps at the start too: biases of groups 0-11 (3.81 V)"


def test_a_program_that_replaced_a_script_and_fails_has_its_card_looked_at(site: SimSite) -> None:
    text = RAISES.format(code=3) + "os.execv(sys.executable, [sys.executable, __file__, 'again'])\n"
    record = site.slot(SLOT).submit("run", script=site.script("becomes.py", text)).wait(LONG_S)
    assert record.outcome == "failed"
    assert record.error is not None
    assert record.error["message"].endswith(f"ended with exit code 3; the card: {RAISED}")
    assert site.slot(SLOT).status().left_on is not None


def test_the_record_lists_what_a_program_that_replaced_a_script_left_on(site: SimSite) -> None:
    text = RAISES.format(code=0) + "os.execv(sys.executable, [sys.executable, __file__, 'again'])\n"
    record = site.slot(SLOT).submit("run", script=site.script("becomes_well.py", text)).wait(LONG_S)
    assert record.outcome == "succeeded"
    assert f"the card: {RAISED}" in messages(record)
    assert site.slot(SLOT).status().left_on is not None


def test_the_record_lists_what_a_child_switched_on_before_the_script_started(site: SimSite) -> None:
    text = RAISES.format(code=0) + (
        "subprocess.run([sys.executable, __file__, 'again'], check=True)\n"
        "import epics\n"
        f"epics.caget('smurf_server_s{SLOT[-1]}:{DACS}')\n"
        "raise RuntimeError('no luck')\n"
    )
    record = site.slot(SLOT).submit("run", script=site.script("child_first.py", text)).wait(LONG_S)
    assert record.outcome == "failed"
    assert record.error is not None
    assert record.error["message"].endswith(f"no luck; the card: {RAISED}")
    assert site.slot(SLOT).status().left_on is not None


def test_a_killed_operation_of_the_state_lane_has_nothing_to_do_with_the_card(site: SimSite) -> None:
    """Also where an earlier run left something on."""
    assert submitted(site, "leaves", BIASES.format(volts=3.0)).wait(LONG_S).outcome == "succeeded"
    run = site.slot(SLOT).submit("check_state", poll_interval=0.5)
    eventually(lambda: run.record().data, LONG_S)
    run.abort("tester", "enough", grace_s=0)
    record = run.wait(LONG_S)
    assert record.outcome == "aborted", record.error
    assert "the card" not in messages(record)
    assert site.slot(SLOT).status().left_on is not None


def _relays(record: SessionRecord) -> int:
    return int(record.log.split("relays ")[-1].split()[0])
