"""Determines the result of a step on one slot, from the run's record and from the step's own decision. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from smurfq.core.session import Event, SessionHeader
from smurfq.workflows.report import SlotOutcome, SlotReport


@dataclass(frozen=True)
class GivenUp:
    """The reason why a step no longer waits for a slot. It takes precedence over the later outcome of the run."""

    outcome: SlotOutcome
    reason: str


def report_of(
    slot: str, run_id: str, record: SessionHeader | None, given_up: GivenUp | None = None, attempts: int = 1
) -> SlotReport:
    """Return the report of a step on a slot. ``record`` is the header of its newest run."""
    over = record is not None and record.done
    took_s = record.end_time - record.start_time if record and record.start_time and record.end_time else None
    if given_up is None:
        outcome, reason = _ended_as(record)
    else:
        outcome, reason = given_up.outcome, given_up.reason
    if outcome is SlotOutcome.REJECTED:
        return SlotReport(slot, outcome, reason, None, attempts, took_s)
    if given_up is not None and not over:
        reason += "; it has not ended yet"
    return SlotReport(slot, outcome, reason, run_id, attempts, took_s)


def queued_report(found: SlotReport) -> SlotReport:
    """Return the report of a stream's start, if the caller requested queueing only."""
    if found.outcome is SlotOutcome.REJECTED:
        return found
    return SlotReport(found.slot, SlotOutcome.SUCCEEDED, "", found.record_id)


def started_report(found: SlotReport, *, late: bool, over: bool, within_s: float) -> SlotReport:
    """Return the report of a stream's start: the stream must have started in time, and still be on."""
    if found.outcome is SlotOutcome.REJECTED:
        return found
    if late:
        reason = f"its stream was not on within {within_s:g} s"
        return SlotReport(found.slot, SlotOutcome.TIMED_OUT, reason, found.record_id)
    return gone_report(found) if over else queued_report(found)


def gone_report(found: SlotReport) -> SlotReport:
    """Return the report of a stream that ended by itself. It is a failure, even if the run succeeded."""
    outcome = SlotOutcome.ABORTED if found.ok else found.outcome
    reason = "somebody stopped it" if found.ok else found.reason
    return replace(found, outcome=outcome, reason=f"the stream ended: {reason}")


def is_on(events: Iterable[Event], before: bool = False) -> bool:
    """Return whether a stream is on after ``events``, by the value ``stream_on`` in its session data."""
    for event in events:
        if event["k"] == "data":
            if "stream_on" in event.get("remove", ()):
                before = False
            before = bool(event.get("set", {}).get("stream_on", before))
    return before


def _ended_as(record: SessionHeader | None) -> tuple[SlotOutcome, str]:
    if record is None or not record.done:
        return SlotOutcome.LOST, "its record is gone"
    if record.success:
        return SlotOutcome.SUCCEEDED, ""
    reason = str((record.error or {}).get("message") or f"it ended as {record.outcome}")
    return SlotOutcome(str(record.outcome)), reason
