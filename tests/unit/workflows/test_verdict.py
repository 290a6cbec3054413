"""What became of a step on a slot: every case, from values."""

from __future__ import annotations

import pytest

from smurfq.core import session
from smurfq.core.session import Event, SessionHeader
from smurfq.workflows.report import SlotOutcome, SlotReport
from smurfq.workflows.verdict import GivenUp, gone_report, is_on, queued_report, report_of, started_report

SLOT = "crate1slot2"
RUNNING = SessionHeader("an-id", op_name="take_iv", slot=SLOT, status="running", start_time=10.0)


def ended(outcome: str, error: dict[str, str] | None = None) -> SessionHeader:
    return SessionHeader(
        "an-id",
        op_name="take_iv",
        slot=SLOT,
        status="done",
        success=outcome == "succeeded",
        outcome=outcome,
        error=error,
        start_time=10.0,
        end_time=12.5,
    )


def report(outcome: SlotOutcome = SlotOutcome.SUCCEEDED, reason: str = "", attempts: int = 1) -> SlotReport:
    return SlotReport(SLOT, outcome, reason, "an-id", attempts, 2.5)


def test_a_success_has_its_time_and_no_reason() -> None:
    assert report_of(SLOT, "an-id", ended("succeeded"), attempts=2) == report(attempts=2)


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [("failed", SlotOutcome.FAILED), ("aborted", SlotOutcome.ABORTED), ("lost", SlotOutcome.LOST)],
)
def test_an_end_without_success_has_its_outcome_and_reason(outcome: str, kind: SlotOutcome) -> None:
    assert report_of(SLOT, "an-id", ended(outcome, {"message": "no light"})) == report(kind, "no light")
    assert report_of(SLOT, "an-id", ended(outcome)) == report(kind, f"it ended as {outcome}")


@pytest.mark.parametrize("record", [None, RUNNING])
def test_a_run_that_is_not_known_to_have_ended_is_lost(record: SessionHeader | None) -> None:
    found = report_of(SLOT, "an-id", record)
    assert (found.outcome, found.reason) == (SlotOutcome.LOST, "its record is gone")


@pytest.mark.parametrize("record", [None, RUNNING])
def test_a_slot_that_was_given_up_says_that_its_run_goes_on(record: SessionHeader | None) -> None:
    late = GivenUp(SlotOutcome.TIMED_OUT, "too late")
    found = report_of(SLOT, "an-id", record, late)
    assert found == SlotReport(SLOT, SlotOutcome.TIMED_OUT, "too late; it has not ended yet", "an-id")


def test_a_slot_that_was_given_up_stays_so_however_its_run_ends() -> None:
    late = GivenUp(SlotOutcome.TIMED_OUT, "too late")
    assert report_of(SLOT, "an-id", ended("succeeded"), late) == report(SlotOutcome.TIMED_OUT, "too late")


def test_a_slot_that_rejected_the_operation_has_no_run() -> None:
    locked = GivenUp(SlotOutcome.REJECTED, "locked by ann")
    found = report_of(SLOT, "an-id", None, locked)
    assert found == SlotReport(SLOT, SlotOutcome.REJECTED, "locked by ann", None)
    assert queued_report(found) is found
    assert started_report(found, late=True, over=False, within_s=3.0) is found


def test_a_stream_that_was_queued_counts_as_started_where_nobody_waits_for_it() -> None:
    found = queued_report(report_of(SLOT, "an-id", None))
    assert found == SlotReport(SLOT, SlotOutcome.SUCCEEDED, "", "an-id")


def test_a_stream_has_started_while_it_is_on_and_goes_on() -> None:
    found = report_of(SLOT, "an-id", RUNNING)
    assert started_report(found, late=False, over=False, within_s=3.0).ok


def test_a_stream_that_is_late_has_timed_out() -> None:
    found = started_report(report_of(SLOT, "an-id", RUNNING), late=True, over=False, within_s=3.0)
    assert (found.outcome, found.reason) == (SlotOutcome.TIMED_OUT, "its stream was not on within 3 s")


def test_a_stream_that_ended_by_itself_has_failed_whatever_its_run_says() -> None:
    for found in (gone_report(report()), started_report(report(), late=False, over=True, within_s=3.0)):
        assert found == report(SlotOutcome.ABORTED, "the stream ended: somebody stopped it")
    failed = gone_report(report(SlotOutcome.FAILED, "no light"))
    assert failed == report(SlotOutcome.FAILED, "the stream ended: no light")


ON, OFF = session.data_set({"stream_on": True}, 1.0), session.data_set({"stream_on": False}, 1.0)


@pytest.mark.parametrize(
    ("events", "on"),
    [
        ([], False),
        ([ON], True),
        ([ON, OFF], False),
        ([OFF, ON], True),
        ([ON, session.data_set({"sid": 7}, 1.0), session.message("hello", 1.0)], True),
        ([ON, session.data_removed(["stream_on"], 1.0)], False),
        ([ON, session.data_removed(["sid"], 1.0)], True),
    ],
)
def test_a_stream_is_on_as_its_session_data_say(events: list[Event], on: bool) -> None:
    assert is_on(events) is on


@pytest.mark.parametrize("before", [True, False])
def test_a_stream_stays_as_it_was_without_a_word_of_it(before: bool) -> None:
    assert is_on([session.message("hello", 1.0), session.data_set({"sid": 7}, 1.0)], before) is before
