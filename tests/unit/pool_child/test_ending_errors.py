"""The error and the outcome of an operation, by the way in which its process ended."""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import Any

import pytest

from smurfq.core.session import SessionHeader
from smurfq.errors import (
    OperationAbortedError,
    OperationDiedError,
    OperationError,
    OperationFailedError,
    OperationTimeLimitError,
    OtherSlotError,
)
from smurfq.pool_child.abort import Plan, Stage, Why
from smurfq.pool_child.ending import Ending
from smurfq.pool_child.ending_errors import ended_event, error_of, events_after
from smurfq.pool_child.job import Job
from smurfq.store.fence import Running

SLOT = "crate1slot2"
JOB = Job(
    "an-id",
    "take_iv",
    SLOT,
    SLOT,
    {},
    {},
    Running("an-id", "take_iv", SLOT, SLOT, "a-host", "lease", 0.0),
    SessionHeader("an-id"),
)
ABORT = Plan(Why.ABORT, "root@vm", "wrong bias", 0.0, 10.0, 20.0)
TIME_LIMIT = Plan(Why.TIME_LIMIT, "smurfq", "its time limit of 5 s is over", 0.0, 10.0, 20.0)
SUCCEEDED = {"k": "result", "ok": True}


def raised(type_name: str, message: str = "no light", *, aborted: bool = False, **fields: Any) -> dict[str, Any]:
    return {
        "k": "result",
        "ok": False,
        "type": type_name,
        "message": message,
        "aborted": aborted,
        "fields": fields,
        "traceback": "the traceback",
    }


def ending(
    result: dict[str, Any] | None,
    *,
    exit_code: int = 0,
    oom: bool = False,
    plan: Plan | None = None,
    stage: Stage = Stage.NONE,
    malformed: str | None = None,
) -> Ending:
    return Ending(result, exit_code, oom, plan, stage, False, malformed=malformed)


def error(end: Ending, card: str = "") -> OperationError:
    found = error_of(JOB, end, card)
    assert found is not None
    return found


def test_an_operation_that_returns_has_no_error_and_succeeds() -> None:
    assert error_of(JOB, ending(SUCCEEDED), "as at the start") is None
    event = ended_event(JOB, ending(SUCCEEDED), "", 5.0, {"complete": True})
    assert event["t"] == 5.0
    assert (event["set"]["outcome"], event["set"]["error"], event["set"]["complete"]) == ("succeeded", None, True)


def test_an_exception_is_named_with_its_message_fields_and_traceback() -> None:
    found = error(ending(raised("ValueError", band=3)))
    assert type(found) is OperationFailedError
    assert str(found) == f"take_iv on {SLOT} failed: ValueError: no light"
    assert found.fields["band"] == 3
    assert (found.fields["raised"], found.fields["traceback"]) == ("ValueError", "the traceback")


@pytest.mark.parametrize("kind", [OperationFailedError, OtherSlotError])
def test_an_error_of_smurfq_keeps_its_type_and_does_not_repeat_its_name(kind: type[OperationError]) -> None:
    found = error(ending(raised(kind.__name__)))
    assert type(found) is kind
    assert str(found) == f"take_iv on {SLOT} failed: no light"


def test_an_exception_cannot_replace_the_fields_that_name_the_run() -> None:
    assert error(ending(raised("ValueError", slot="crate9slot9"))).fields["slot"] == SLOT


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (ending(None, exit_code=7), "ended with exit code 7 before it gave its result"),
        (ending(None, exit_code=-signal.SIGSEGV), "was killed by SIGSEGV"),
        (ending(None, exit_code=-signal.SIGKILL, oom=True), "was killed by the kernel for lack of memory (SIGKILL)"),
        (
            ending(None, exit_code=-signal.SIGKILL, malformed="b'x'"),
            "sent a malformed frame on its session socket (b'x')",
        ),
    ],
)
def test_a_process_that_dies_without_a_result_is_described(end: Ending, words: str) -> None:
    found = error(end)
    assert type(found) is OperationDiedError
    assert words in str(found)
    assert (found.fields["exit_code"], found.fields["out_of_memory"]) == (end.exit_code, end.oom)


@pytest.mark.parametrize(
    ("result", "stage", "how"),
    [
        (raised("OperationAbortedError", aborted=True), Stage.ASKED, "it ended at its next safe point"),
        (raised("AbortSignal", aborted=True), Stage.SIGNALLED, "it was interrupted"),
        (raised("OperationAbortedError", aborted=True), Stage.SIGNALLED, "it ended at its next safe point"),
        (None, Stage.KILLED, "it had to be killed"),
        (SUCCEEDED, Stage.ASKED, "it had just done its work"),
    ],
)
def test_an_abort_tells_who_asked_why_and_how_the_operation_ended(
    result: dict[str, Any] | None, stage: Stage, how: str
) -> None:
    end = ending(result, plan=ABORT, stage=stage)
    found = error(end)
    assert type(found) is OperationAbortedError
    assert str(found) == f"take_iv on {SLOT} was aborted by root@vm (wrong bias); {how}"
    assert (found.fields["by"], found.fields["stage"]) == ("root@vm", stage.name.lower())
    assert ended_event(JOB, end, "", 5.0, {})["set"]["outcome"] == "aborted"


def test_a_time_limit_is_a_failure_and_no_abort() -> None:
    end = ending(None, plan=TIME_LIMIT, stage=Stage.KILLED)
    assert type(error(end)) is OperationTimeLimitError
    assert ended_event(JOB, end, "", 5.0, {})["set"]["outcome"] == "failed"


def test_an_end_at_a_safe_point_after_a_stop_is_an_abort() -> None:
    assert type(error(ending(raised("OperationAbortedError", aborted=True)))) is OperationAbortedError


def test_the_state_of_the_card_is_part_of_the_message_and_keeps_the_type() -> None:
    end = ending(raised("ValueError"))
    found = error(end, "3 V on bias group 4 were turned off")
    assert str(found).endswith("failed: ValueError: no light; the card: 3 V on bias group 4 were turned off")
    assert (type(found), found.fields) == (OperationFailedError, error(end).fields)


def test_an_operation_that_died_is_recorded_as_degraded_before_its_card_is_made_safe() -> None:
    end = ending(None, exit_code=7)
    header, message = events_after(JOB, end, 5.0)
    assert (header["set"]["degraded"], header["set"]["error"]["type"]) == (True, "OperationDiedError")
    assert message["text"] == str(error(end))
    assert {header["t"], message["t"]} == {5.0}


def test_processes_that_were_left_behind_are_recorded_with_any_result() -> None:
    end = replace(ending(SUCCEEDED), left_behind=["sleep (7)"])
    (message,) = events_after(JOB, end, 5.0)
    assert message["text"] == "ended processes that take_iv had left behind: sleep (7)"


def test_an_operation_that_was_aborted_is_not_recorded_as_degraded() -> None:
    assert events_after(JOB, ending(None, plan=ABORT, stage=Stage.KILLED), 5.0) == []
