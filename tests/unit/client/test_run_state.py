"""What a reader knows of one run, from what Redis has told it."""

from __future__ import annotations

from smurfq.client.run_state import SETTLE_S, RunState
from smurfq.core import session
from smurfq.core.session import SessionHeader
from smurfq.store.records import Update

REVOKED = {"status": "REVOKED", "result": None, "date_done": None}


def header(status: str = "queued") -> SessionHeader:
    return SessionHeader("an-id", op_name="take_iv", slot="crate1slot2", status=status)


def test_events_are_taken_in_order_and_the_position_follows() -> None:
    run = RunState("an-id")
    first, second = session.message("one", 1.0), session.message("two", 2.0)
    assert run.take([Update("1-0", "bridge", 0, [first]), Update("2-0", "worker", 0, [second])]) == [first, second]
    assert run.position == "2-0"


def test_a_batch_that_its_writer_wrote_twice_is_taken_once() -> None:
    run = RunState("an-id")
    batch = Update("1-0", "bridge", 3, [session.message("one", 1.0)])
    again = Update("2-0", "bridge", 3, batch.events)
    assert run.take([batch, again]) == batch.events
    assert run.take([again]) == []
    assert run.take([Update("3-0", "bridge", 4, batch.events)]) == batch.events


def test_a_run_is_over_when_its_record_is() -> None:
    run = RunState("an-id")
    assert not run.over
    run.see(header("running"), None, now=0.0)
    assert not run.over
    run.see(header("done"), None, now=1.0)
    assert run.over


def test_celery_ends_a_run_only_once_the_record_has_had_time_to() -> None:
    run = RunState("an-id")
    run.see(header(), REVOKED, now=10.0)
    run.see(header(), REVOKED, now=10.0 + 0.9 * SETTLE_S)
    assert not run.over
    run.see(header(), REVOKED, now=10.0 + SETTLE_S)
    assert run.over
    assert run.header is not None
    assert (run.header.outcome, run.header.op_name) == ("aborted", "take_iv")


def test_a_task_that_goes_on_after_all_is_given_the_time_again() -> None:
    run = RunState("an-id")
    run.see(header(), REVOKED, now=10.0)
    run.see(header("running"), None, now=11.0)  # Redis was restored, and the task was claimed
    run.see(header("running"), REVOKED, now=12.0)
    assert not run.over


def test_what_the_record_says_counts_and_not_celery() -> None:
    run = RunState("an-id")
    record = header("done")
    record.outcome = "succeeded"
    run.see(record, REVOKED, now=100.0)
    assert run.header is record


def test_without_a_record_celery_is_believed_at_once() -> None:
    run = RunState("an-id")
    run.see(None, REVOKED, now=0.0)
    assert run.over


def test_a_record_that_vanished_is_not_known_any_more() -> None:
    run = RunState("an-id")
    run.see(header("running"), None, now=0.0)
    run.see(None, None, now=1.0)
    assert run.header is None
    assert not run.over
