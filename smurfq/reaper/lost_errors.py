"""The errors of runs whose worker or message is gone; pure."""

from __future__ import annotations

from smurfq import errors
from smurfq.core.session import Outcome, SessionHeader
from smurfq.core.slot import WORKFLOWS
from smurfq.errors import OperationAbortedError, OperationLostError
from smurfq.store.fence import Running


def worker_gone(running: Running) -> OperationLostError:
    """Return the error of a run whose worker died or was cut off."""
    left = "the card may not be in the state it should be in"
    if running.slot == WORKFLOWS:
        left = "what it had started is being ended"
    return OperationLostError(
        f"{running.op_name} on {running.slot} is lost: its worker on {running.host} died or was cut off while it "
        f"ran; {left}",
        slot=running.slot,
        operation=running.op_name,
        session_id=running.task_id,
    )


def outcome_forgotten(running: Running) -> OperationLostError:
    """Return the error of a run that has ended, but whose outcome Redis has lost."""
    return OperationLostError(
        f"{running.op_name} on {running.slot} is over, but Redis has forgotten how it ended (killed, or another "
        "one now?); its log file tells what it did",
        slot=running.slot,
        operation=running.op_name,
        session_id=running.task_id,
    )


def message_gone(record: SessionHeader, times_taken: int) -> tuple[Exception, Outcome]:
    """Return the error and outcome of a run that never started and has no message in a queue.

    Workers took its message ``times_taken`` times; 0 if none did, so that somebody must have removed it.
    """
    run = f"{record.op_name} on {record.slot}"
    fields = {"slot": record.slot, "operation": record.op_name, "session_id": record.session_id}
    if times_taken:
        text = f"{run} is lost: workers took its message {times_taken} times, and none started it"
        return OperationLostError(f"{text}; see the worker's log, and submit it again", fields), Outcome.LOST
    text = f"{run} did not run: its message was removed from the queue (a purge, or a command in Redis)"
    return OperationAbortedError(f"{text}; submit it again if it is still wanted", fields), Outcome.ABORTED


def next_step_gone(record: SessionHeader) -> OperationLostError:
    """Return the error of the step of a chain that should have been queued when the run of ``record`` succeeded."""
    return OperationLostError(
        f"the step after {record.op_name} on {record.slot} was never queued: the worker died between the two",
        slot=record.slot,
        after=record.session_id,
    )


def recorded_error(record: SessionHeader) -> Exception:
    """Return the error that a record describes."""
    fields = dict(record.error or {})
    kind = getattr(errors, str(fields.pop("type", "")), errors.OperationFailedError)
    return kind(fields.pop("message", f"{record.op_name} on {record.slot} {record.outcome}"), fields)
