"""The end of a run for a client: from its record, or from Celery's metadata if no worker wrote it. No I/O."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

from smurfq import errors
from smurfq.core.session import Outcome, SessionHeader, SessionRecord
from smurfq.errors import OperationAbortedError, OperationError, OperationFailedError, OperationLostError

T = TypeVar("T", bound=SessionHeader)

_OUTCOME_OF_ERROR = {"OperationLostError": Outcome.LOST, "OperationAbortedError": Outcome.ABORTED}
_ERROR_OF_OUTCOME: dict[str | None, type[OperationError]] = {
    Outcome.ABORTED: OperationAbortedError,
    Outcome.LOST: OperationLostError,
}


def ended_by_meta(record: T, meta: dict[str, Any]) -> T:
    """Return ``record`` with the end in Celery's final metadata: revoked, or failed before a worker recorded it."""
    result = meta.get("result")
    state = meta["status"]
    if state == "SUCCESS":
        if isinstance(result, dict) and result.get("session_id") == record.session_id:
            return type(record).from_dict(result)
        record.outcome = str(Outcome.SUCCEEDED)
    else:
        kind, message = _failure(result)
        default = Outcome.ABORTED if state == "REVOKED" else Outcome.FAILED
        record.outcome = str(_OUTCOME_OF_ERROR.get(kind, default))
        record.error = {"type": kind, "message": message}
    record.status = "done"
    record.success = state == "SUCCESS"
    record.end_time = record.end_time or _timestamp(meta.get("date_done"))
    return record


def operation_error(record: SessionRecord) -> OperationError:
    """Return the error with which a run ended; an error of smurfq has the class that the worker raised."""
    told = record.error or {}
    kind = getattr(errors, str(told.get("type", "")), None)
    if not (isinstance(kind, type) and issubclass(kind, OperationError)):
        kind = _ERROR_OF_OUTCOME.get(record.outcome, OperationFailedError)
    message = told.get("message") or f"it ended as {record.outcome}; `smurfq show {record.session_id}` gives details"
    fields = {name: value for name, value in told.items() if name not in ("type", "message", "fields")}
    return kind(
        str(message),
        {**fields, **(told.get("fields") or {}), "session_id": record.session_id, "slot": record.slot},
    )


def _failure(result: Any) -> tuple[str, str]:
    if not isinstance(result, dict):
        return "TaskRevokedError", str(result or "revoked")
    message = result.get("exc_message")
    if isinstance(message, list):
        message = message[0] if message else ""
    return str(result.get("exc_type", "Exception")), str(message or "")


def _timestamp(date_done: Any) -> float | None:
    return datetime.fromisoformat(date_done).timestamp() if isinstance(date_done, str) else None
