"""A session record as an OCS session, and the reply that carries it."""

from __future__ import annotations

import time

import pytest

from smurfq.core.session import OpCode, SessionRecord
from smurfq.errors import ParameterError
from smurfq.ocs import ERROR, OK, TIMEOUT, OCSReply, ResponseCode
from smurfq.ocs.reply import for_people
from smurfq.ocs.session import encode, refused

OCS_FIELDS = (
    "session_id",
    "op_name",
    "op_code",
    "cred_level",
    "status",
    "degraded",
    "success",
    "start_time",
    "end_time",
    "data",
    "messages",
)


def record(**more: object) -> SessionRecord:
    return SessionRecord("an-id", op_name="take_iv", slot="crate1slot2", submit_time=100.0, **more)  # type: ignore[arg-type]


def test_the_codes_are_those_of_ocs() -> None:
    assert (OK, ERROR, TIMEOUT) == (0, -1, 1)
    assert [ResponseCode(code).name for code in (OK, ERROR, TIMEOUT)] == ["OK", "ERROR", "TIMEOUT"]
    assert {code.name: int(code) for code in OpCode} == {
        "NONE": 1,
        "STARTING": 2,
        "RUNNING": 3,
        "STOPPING": 4,
        "SUCCEEDED": 5,
        "FAILED": 6,
        "EXPIRED": 7,
        "DEGRADED": 8,
    }


@pytest.mark.parametrize(
    ("fields", "status", "op_code"),
    [
        ({}, "starting", 2),
        ({"status": "starting"}, "starting", 2),
        ({"status": "running"}, "running", 3),
        ({"status": "running", "degraded": True}, "running", 8),
        ({"status": "stopping"}, "stopping", 4),
        ({"status": "done", "success": True}, "done", 5),
        ({"status": "done", "success": False}, "done", 6),
    ],
)
def test_every_status_has_the_code_of_ocs(fields: dict[str, object], status: str, op_code: int) -> None:
    session = encode(record(**fields), "take_iv")
    assert tuple(session)[: len(OCS_FIELDS)] == OCS_FIELDS
    assert (session["status"], session["op_code"]) == (status, op_code)
    assert session["start_time"] == 100.0


def test_the_time_of_the_start_is_the_run_s_own_once_it_has_begun() -> None:
    assert encode(record(status="running", start_time=105.0), "take_iv")["start_time"] == 105.0


def test_why_a_run_failed_is_its_last_message() -> None:
    failed = record(
        status="done",
        success=False,
        end_time=9.0,
        messages=[[1.0, "begun"]],
        error={"type": "OperationFailedError", "message": "no tune"},
    )
    messages = encode(failed, "take_iv")["messages"]
    assert messages == [[1.0, "begun"], [9.0, "ERROR: OperationFailedError: no tune"]]


def test_a_stream_that_has_not_said_so_is_not_on() -> None:
    stream = SessionRecord("an-id", op_name="stream", status="running")
    assert encode(stream, "stream")["data"] == {"stream_on": False}
    stream.data = {"stream_on": True, "sid": 1}
    assert encode(stream, "stream")["data"] == {"stream_on": True, "sid": 1}


def test_a_refused_start_is_a_session_that_failed() -> None:
    session = refused("take_iv", "crate1slot2", {"tga": 1}, ParameterError("take_iv has no parameter 'tga'"))
    assert (session["status"], session["op_code"], session["success"]) == ("done", 6, False)
    assert session["messages"][-1][1] == "ERROR: ParameterError: take_iv has no parameter 'tga'"
    assert session["op_name"] == "take_iv"


def test_a_reply_unpacks_and_says_what_it_is() -> None:
    ok, msg, session = reply = OCSReply(OK, "Session active.", encode(record(), "take_iv"))
    assert (ok, msg, session["session_id"]) == (0, "Session active.", "an-id")
    assert repr(OCSReply(OK, "No session active.", {})).splitlines() == [
        "OCSReply: OK : No session active.",
        "  (no session -- op has never run)",
    ]
    assert repr(OCSReply(17, "?", {})).startswith("OCSReply: ??? : ?")
    assert "OCSReply: OK : Session active.\n  take_iv[session=an-id]; status=starting for " in repr(reply)


def test_a_reply_shows_the_newest_messages() -> None:
    ended = time.time() - 30
    done = record(
        status="done",
        success=False,
        start_time=ended - 600,
        end_time=ended,
        messages=[[float(number), f"line {number}"] for number in range(9)],
    )
    lines = repr(OCSReply(TIMEOUT, "m", encode(done, "take_iv"))).splitlines()
    assert lines[0] == "OCSReply: TIMEOUT : m"
    assert lines[1].startswith("  take_iv[session=an-id]; status=done with ERROR 30.")
    assert lines[1].endswith(" s ago, took 10.0 mins")
    assert lines[2:8] == ["  messages (5 of 9):", *(f"    {n}.000 line {n}" for n in range(4, 9))]
    assert lines[8].startswith("  other keys in .session: op_code, cred_level, degraded, data, slot")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.5, "0.500000 s"), (90, "90.0 s"), (600, "10.0 mins"), (7200, "2.0 hrs"), (864_000, "10.0 days")],
)
def test_durations_are_in_the_unit_that_reads_best(seconds: float, text: str) -> None:
    assert for_people(seconds) == text
