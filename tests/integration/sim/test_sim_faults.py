"""Each fault of a simulated slot leads to a clear error in the record, not to a hang."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from smurfq.sim import faults, presence
from smurfq.sim.faults import Faults
from tests.integration.records import error_of
from tests.site.eventually import eventually
from tests.site.simulated import LONG_S, SLOTS, SimSite

pytestmark = [pytest.mark.slot, pytest.mark.slow, pytest.mark.timeout(900)]
SLOT = SLOTS[0]


@pytest.fixture
def faulty(sim_site: SimSite) -> Iterator[SimSite]:
    """The simulated site, whose faults are taken away again."""
    yield sim_site
    sim_site.fault(SLOT)
    sim_site.until(lambda state: state["session_id"] == 0, SLOT, "the slot is as before")


def _told(site: SimSite, *slots: str) -> list[dict[str, Any]]:
    present = presence.read(site.options.folder)
    assert present is not None
    return [present["slots"][slot] for slot in slots]


def test_a_silent_server_is_reported_within_seconds(faulty: SimSite) -> None:
    faulty.fault(SLOT, silent=True)
    record = faulty.run("set_biases", bias=1.0)
    assert record.outcome == "failed"
    assert "the card of crate1slot2 does not answer" in error_of(record)["message"]
    faulty.fault(SLOT)
    faulty.succeeded("zero_biases")


def test_a_server_that_falls_silent_does_not_hang_the_stream(faulty: SimSite) -> None:
    stream = faulty.slot().submit("stream")
    faulty.in_stage(stream, "streaming")
    faulty.fault(SLOT, silent=True)
    faulty.slot().abort(reason="the server is silent", grace_s=2)
    record = stream.wait(LONG_S)
    assert record.outcome == "aborted"
    assert record.data["make_safe"]["safe"] is False
    assert "the card: does not answer, may be on: streaming, the g3 file" in " ".join(
        text for _, text in record.messages
    )
    faulty.fault(SLOT)
    faulty.succeeded("stream", duration=0.5)  # which closes what the other had to leave open


def test_registers_that_never_answer_are_named_and_a_time_limit_holds(faulty: SimSite) -> None:
    hasty = SLOTS[1]
    limits = json.dumps({"set_biases": 12.0})
    graces = {"SMURFQ_LIMITS_ABORT_GRACE_S": "1", "SMURFQ_LIMITS_KILL_GRACE_S": "20"}
    worker = faulty.start_worker(hasty, wait=True, SMURFQ_LIMITS_OPERATIONS=limits, **graces)
    dead = Faults(dead_registers=("TesBiasDacDataRegChArray", "AggTime"))
    faults.write(faulty.options.folder, {SLOT: dead, hasty: dead})
    eventually(lambda: all(found["faults"] for found in _told(faulty, SLOT, hasty)))
    patient = faulty.slot().submit("set_biases", bias=1.0, bgs=[0])

    record = faulty.run("check_state", once=True)
    assert record.outcome == "failed"
    assert (
        "register smurf_server_s2:AMCc:SmurfProcessor:SOStream:AggTime of crate1slot2 does not answer"
        in error_of(record)["message"]
    )
    record = faulty.run("set_biases", hasty, bias=1.0, bgs=[0])
    assert record.outcome == "failed"
    assert error_of(record)["type"] == "OperationTimeLimitError"
    assert "ran past its time limit of 12 s" in error_of(record)["message"]
    assert "Command failed: smurf_server_s3:" in record.log
    record = patient.wait(LONG_S)  # pysmurf asks six times
    assert record.outcome == "failed"
    assert "TesBiasDacDataRegChArray of crate1slot2 does not answer" in error_of(record)["message"]
    faulty.stop(worker)


def test_a_card_without_its_cryocard_is_reported(faulty: SimSite) -> None:
    faulty.fault(SLOT, no_cryocard=True)
    record = faulty.run("overbias_tes")
    assert record.outcome == "failed", record.to_dict()
    assert "the cryocard of crate1slot2 does not answer" in error_of(record)["message"]
    assert faulty.read()["session_id"] == 0


def test_a_file_that_never_closes_is_reported_with_its_session(faulty: SimSite) -> None:
    faulty.fault(SLOT, never_closes=True)
    record = faulty.run("stream", duration=1.0)
    assert record.outcome == "failed"
    assert f"told to close session {record.data['sid']} and has not done so" in error_of(record)["message"]


def test_a_stream_with_gaps_is_not_trusted(faulty: SimSite) -> None:
    faulty.fault(SLOT, gaps=0.3)
    record = faulty.run("take_noise", duration=6.0, kwargs={"nperseg": 256, "show_plot": False})
    assert record.outcome == "failed"
    assert "the stream of take_noise on crate1slot2 has gaps: " in error_of(record)["message"]
    assert 100 < record.data["missing_samples"] < 3000


def test_a_server_that_restarts_during_a_stream_is_reported(faulty: SimSite) -> None:
    stream = faulty.slot().submit("stream")
    faulty.in_stage(stream, "streaming")
    faulty.simulator.kill()
    faulty.simulator.wait()
    faulty.simulator = faulty.start_simulator()
    faulty.slot().stop()
    record = stream.wait(LONG_S)
    assert record.outcome == "failed"
    assert f"began with session {record.data['sid']} and had no file open at the end" in error_of(record)["message"]
    faulty.succeeded("stream", duration=0.5)


def test_a_locked_up_card_comes_back_by_a_restart_of_its_link(faulty: SimSite) -> None:
    faulty.fault(SLOT, locked_up=True)
    record = faulty.run("zero_biases")
    assert record.outcome == "failed"
    assert "restart_rssi may help" in error_of(record)["message"]
    restart = faulty.succeeded("restart_rssi")
    assert restart.data["rssi_responsive"] is True
    faulty.succeeded("zero_biases")


def test_a_restart_of_the_link_ends_what_hangs_on_a_locked_up_card(faulty: SimSite) -> None:
    stream = faulty.slot().submit("stream")
    faulty.in_stage(stream, "streaming")
    faulty.fault(SLOT, locked_up=True)
    restart = faulty.succeeded("restart_rssi")
    assert restart.data["rssi_responsive"] is True
    record = stream.wait(LONG_S)
    assert record.outcome == "aborted"
    assert "an emergency operation waits" in error_of(record)["message"]
    assert "does not answer, may be on: streaming" in record.data["make_safe"]["text"]
    faulty.succeeded("stream", duration=0.5)
    assert faulty.read()["streaming"] == 0
