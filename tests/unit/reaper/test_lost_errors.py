"""The errors of runs whose worker or message is gone."""

from __future__ import annotations

import pytest

from smurfq.core.session import Outcome, SessionHeader
from smurfq.core.slot import WORKFLOWS
from smurfq.errors import OperationAbortedError, OperationFailedError, OperationLostError, ParameterError
from smurfq.reaper import lost_errors
from smurfq.store.fence import Running

SLOT = "crate1slot2"
RUNNING = Running("an-id", "take_iv", SLOT, SLOT, "smurf-srv1", "a token", 0.0)
RECORD = SessionHeader("an-id", op_name="take_iv", slot=SLOT)


def test_a_run_whose_worker_is_gone_names_the_host_and_warns_of_the_card() -> None:
    error = lost_errors.worker_gone(RUNNING)
    assert str(error).startswith(f"take_iv on {SLOT} is lost: its worker on smurf-srv1 died")
    assert "the card may not be in the state it should be in" in str(error)
    assert error.fields == {"slot": SLOT, "operation": "take_iv", "session_id": "an-id"}


def test_a_workflow_has_no_card_to_warn_of() -> None:
    error = lost_errors.worker_gone(Running("an-id", "workflow", WORKFLOWS, "seat", "a host", "a token", 0.0))
    assert "card" not in str(error)
    assert "what it had started is being ended" in str(error)


@pytest.mark.parametrize(
    ("times_taken", "kind", "outcome", "text"),
    [
        (4, OperationLostError, Outcome.LOST, "workers took its message 4 times"),
        (0, OperationAbortedError, Outcome.ABORTED, "its message was removed from the queue"),
    ],
)
def test_a_run_without_a_message_is_lost_or_was_removed(
    times_taken: int, kind: type[Exception], outcome: Outcome, text: str
) -> None:
    error, found = lost_errors.message_gone(RECORD, times_taken)
    assert (type(error), found) == (kind, outcome)
    assert text in str(error)
    assert "submit it again" in str(error)


@pytest.mark.parametrize(
    ("described", "kind", "text"),
    [
        ({"type": "ParameterError", "message": "no such band", "got": 9}, ParameterError, "no such band"),
        ({"type": "SomebodysError", "message": "no light"}, OperationFailedError, "no light"),
        (None, OperationFailedError, f"take_iv on {SLOT} failed"),
    ],
)
def test_the_error_of_a_record_keeps_its_type_message_and_fields(
    described: dict[str, object] | None, kind: type[Exception], text: str
) -> None:
    record = SessionHeader("an-id", op_name="take_iv", slot=SLOT, outcome="failed", error=described)
    error = lost_errors.recorded_error(record)
    assert (type(error), str(error)) == (kind, text)
    if described and "got" in described:
        assert getattr(error, "fields", {})["got"] == 9
