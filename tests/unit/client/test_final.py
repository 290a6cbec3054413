"""The end of a run, from its record or from Celery's metadata alone."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from smurfq import errors
from smurfq.client.final import ended_by_meta, operation_error
from smurfq.core.session import SessionRecord
from smurfq.errors import OperationAbortedError, OperationError, OperationFailedError, OperationLostError


def _meta(state: str, result: Any) -> dict[str, Any]:
    return {"status": state, "result": result, "date_done": "2026-11-22T12:00:00+00:00"}


def _queued() -> SessionRecord:
    return SessionRecord("an-id", op_name="take_iv", slot="crate1slot2")


@pytest.mark.parametrize(
    ("state", "kind", "outcome"),
    [
        ("REVOKED", "TaskRevokedError", "aborted"),
        ("REVOKED", "OperationLostError", "lost"),
        ("FAILURE", "ValueError", "failed"),
        ("FAILURE", "OperationAbortedError", "aborted"),
        ("FAILURE", "OperationLostError", "lost"),
    ],
)
def test_a_run_that_no_worker_ended_ends_as_celery_says(state: str, kind: str, outcome: str) -> None:
    meta = _meta(state, {"exc_type": kind, "exc_message": ["why", {}], "exc_module": "x"})
    record = ended_by_meta(_queued(), meta)
    assert record.done
    assert record.outcome == outcome
    assert record.success is False
    assert record.error == {"type": kind, "message": "why"}
    assert record.end_time == 1795348800.0


def test_a_result_that_is_a_record_is_the_record() -> None:
    final = SessionRecord("an-id", status="done", success=True, outcome="succeeded", data={"a": 1})
    assert ended_by_meta(_queued(), _meta("SUCCESS", final.to_dict())) == final


def test_a_success_with_another_result_is_a_success() -> None:
    record = ended_by_meta(_queued(), _meta("SUCCESS", 10))
    assert (record.outcome, record.success, record.status) == ("succeeded", True, "done")


@pytest.mark.parametrize(
    "kind",
    [item for _, item in inspect.getmembers(errors, inspect.isclass) if issubclass(item, OperationError)],
)
def test_the_error_is_the_one_that_the_worker_raised(kind: type[OperationError]) -> None:
    record = _queued()
    record.error = {"type": kind.__name__, "message": "it broke", "signal": 9}
    error = operation_error(record)
    assert type(error) is kind
    assert str(error) == "it broke"
    assert (error.session_id, error.slot, error.signal) == ("an-id", "crate1slot2", 9)


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [("failed", OperationFailedError), ("aborted", OperationAbortedError), ("lost", OperationLostError)],
)
def test_an_error_of_another_library_is_told_by_the_outcome(outcome: str, kind: type[OperationError]) -> None:
    record = _queued()
    record.outcome, record.error = outcome, {"type": "ConfigError", "message": "m"}
    assert type(operation_error(record)) is kind
    record.error = None
    assert "an-id" in str(operation_error(record))
