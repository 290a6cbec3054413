"""Translates how an operation's process ended into the operation's error and outcome; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smurfq.celery_app.site_app import describe_error
from smurfq.core import session as events
from smurfq.core.session import Event, Outcome
from smurfq.errors import (
    OperationAbortedError,
    OperationDiedError,
    OperationError,
    OperationFailedError,
    OperationTimeLimitError,
    OtherSlotError,
)
from smurfq.host import processes
from smurfq.host.orphans import Ended
from smurfq.pool_child.abort import Plan, Stage, Why
from smurfq.pool_child.ending import Ending
from smurfq.pool_child.job import Job

_KEPT_TYPES = {kind.__name__: kind for kind in (OperationFailedError, OtherSlotError)}
_AT_A_SAFE_POINT = "it ended at its next safe point"


def ended_event(job: Job, ending: Ending, card: str, at: float, more: Mapping[str, Any]) -> Event:
    """Return the event that ends the record at the time ``at``; ``more`` are further header fields."""
    error = error_of(job, ending, card)
    outcome = Outcome.SUCCEEDED
    if error is not None:
        outcome = Outcome.ABORTED if isinstance(error, OperationAbortedError) else Outcome.FAILED
    return events.ended(at, outcome, describe_error(error) if error is not None else None, **more)


def events_after(job: Job, ending: Ending, at: float) -> list[Event]:
    """Return the events to record as soon as the operation's process is dead, before its card is made safe.

    Making a card safe takes time. Until then the record shows what was left behind, and an operation that died.
    """
    found = []
    if ending.left_behind:
        found.append(events.message(Ended(ending.left_behind).describe(job.op_name), at))
    if ending.result is None and ending.plan is None:
        error = error_of(job, ending)
        found.append(events.header(at, degraded=True, error=describe_error(error) if error else None))
        found.append(events.message(str(error), at))
    return found


def error_of(job: Job, ending: Ending, card: str = "") -> OperationError | None:
    """Return the error of an operation; None if it succeeded.

    ``card`` describes the state in which the card was found and left, and becomes part of the message.
    """
    error = _error_of_process(job, ending)
    if error is None or not card:
        return error
    return type(error)(f"{error}; the card: {card}", error.fields)


def _error_of_process(job: Job, ending: Ending) -> OperationError | None:
    what = f"{job.op_name} on {job.slot}"
    fields: dict[str, Any] = {"operation": job.op_name, "slot": job.slot, "session_id": job.task_id}
    if ending.plan is not None:
        return _ended_on_request(what, fields, ending, ending.plan)
    if ending.result is None:
        return _died(what, fields, ending)
    if ending.result["ok"]:
        return None
    return _failed(what, fields, ending.result)


def _ended_on_request(what: str, fields: dict[str, Any], ending: Ending, plan: Plan) -> OperationError:
    """The error of an operation that was aborted, or that ran past its time limit."""
    fields = {**fields, "stage": ending.stage.name.lower()}
    if plan.why is Why.TIME_LIMIT:
        return OperationTimeLimitError(f"{what} was ended: {plan.reason}", fields)
    reason = f"{what} was aborted by {plan.by} ({plan.reason}); {_how_it_ended(ending)}"
    return OperationAbortedError(reason, {**fields, "by": plan.by})


def _how_it_ended(ending: Ending) -> str:
    result = ending.result
    if result is not None and result["ok"]:
        return "it had just done its work"
    if result is not None and result["type"] != "AbortSignal" and result["aborted"]:
        return _AT_A_SAFE_POINT
    return {
        Stage.ASKED: _AT_A_SAFE_POINT,
        Stage.SIGNALLED: "it was interrupted",
        Stage.KILLED: "it had to be killed",
    }[ending.stage]


def _died(what: str, fields: dict[str, Any], ending: Ending) -> OperationError:
    """The error of an operation whose process ended without a result."""
    words = processes.exit_words(ending.exit_code, ending.oom)
    if ending.malformed is not None:
        words = f"was killed because it sent a malformed frame on its session socket ({ending.malformed})"
    return OperationDiedError(
        f"{what}: its process {words}; its output is in the record's log",
        {**fields, "exit_code": ending.exit_code, "out_of_memory": ending.oom},
    )


def _failed(what: str, fields: dict[str, Any], result: Mapping[str, Any]) -> OperationError:
    """The error of an operation that raised an exception."""
    if result["aborted"]:  # by sodetlib's stop_point after a stop
        return OperationAbortedError(f"{what} ended at a safe point: a stop was asked for", fields)
    inner = {name: value for name, value in result["fields"].items() if name not in fields}
    kind = _KEPT_TYPES.get(result["type"])
    text = result["message"] if kind else f"{result['type']}: {result['message']}"
    return (kind or OperationFailedError)(
        f"{what} failed: {text}", {**fields, **inner, "raised": result["type"], "traceback": result["traceback"]}
    )
