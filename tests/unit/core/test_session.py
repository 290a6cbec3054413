"""The fold of events to a record: each batch once, no change after the end, and statuses never go back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smurfq.core import session
from smurfq.core.session import Event, OpCode, Outcome, SessionHeader, SessionRecord
from smurfq.core.session_fold import Fold

times = st.floats(0, 1e6)
names = st.sampled_from(["a", "b", "c"])
some_events = st.one_of(
    st.builds(session.message, st.text(max_size=5), times),
    st.builds(session.data_set, st.dictionaries(names, st.integers()), times),
    st.builds(session.data_removed, st.lists(names), times),
    st.builds(session.log_text, st.text(max_size=5), times),
    st.builds(session.stage, names, times),
    st.builds(lambda status, t: session.header(t, status=status), st.sampled_from(session.STATUSES), times),
    st.builds(session.ended, times, st.sampled_from(list(Outcome))),
    st.just({"k": "of a later version", "t": 0.0}),
)
batches = st.lists(st.lists(some_events, max_size=4), max_size=8)


def fold(batches: list[list[Event]], repeat: bool = False) -> dict[str, Any]:
    folding = Fold(SessionRecord("id"))
    for number, batch in enumerate(batches):
        assert folding.add("writer", number, batch)
        if repeat:
            assert not folding.add("writer", number, batch)
    return folding.finish().to_dict()


@given(batches)
def test_a_batch_taken_in_twice_counts_once(found: list[list[Event]]) -> None:
    assert fold(found) == fold(found, repeat=True)


@given(batches, batches)
def test_an_end_absorbs(before: list[list[Event]], after: list[list[Event]]) -> None:
    end = [session.ended(5.0, Outcome.ABORTED, {"type": "OperationAbortedError", "message": "enough"})]
    first = next(
        (e for batch in before for e in batch if e["k"] == "header" and e["set"].get("status") == "done"), None
    )
    record = fold([*before, end, *after])
    assert record["status"] == "done"
    assert record["outcome"] == (first["set"]["outcome"] if first and "outcome" in first["set"] else record["outcome"])
    if first is None:
        assert (record["outcome"], record["success"], record["end_time"]) == ("aborted", False, 5.0)


@given(batches)
def test_statuses_only_go_forward(found: list[list[Event]]) -> None:
    folding = Fold(SessionRecord("id"))
    seen = []
    for number, batch in enumerate(found):
        folding.add("writer", number, batch)
        seen.append(session.STATUSES.index(folding.record.status))
    assert seen == sorted(seen)


@given(batches)
def test_a_record_survives_its_json(found: list[list[Event]]) -> None:
    record = fold(found)
    assert SessionRecord.from_dict(record).to_dict() == record


def test_writers_do_not_hide_each_other() -> None:
    folding = Fold(SessionRecord("id"))
    assert folding.add("bridge", 5, [session.message("one", 1.0)])
    assert folding.add("worker", 1, [session.message("two", 2.0)])
    assert [text for _, text in folding.finish().messages] == ["one", "two"]


def test_messages_and_log_are_bounded_and_counted() -> None:
    folding = Fold(SessionRecord("id"))
    many = session.MESSAGES_KEPT * 3
    for number in range(many):
        folding.add("w", number, [session.message(str(number), 0.0), session.log_text("x" * 100, 0.0)])
    record = folding.finish()
    assert len(record.messages) == session.MESSAGES_KEPT
    assert record.messages[-1][1] == str(many - 1)
    assert record.messages_total == many
    assert len(record.log) == session.LOG_TAIL_CHARS


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"status": "queued"}, OpCode.NONE),
        ({"status": "starting"}, OpCode.STARTING),
        ({"status": "running"}, OpCode.RUNNING),
        ({"status": "running", "degraded": True}, OpCode.DEGRADED),
        ({"status": "stopping", "degraded": True}, OpCode.STOPPING),
        ({"status": "done", "success": True}, OpCode.SUCCEEDED),
        ({"status": "done", "success": False}, OpCode.FAILED),
    ],
)
def test_op_code_is_that_of_ocs(values: dict[str, Any], code: OpCode) -> None:
    assert SessionRecord("id", **values).op_code == code


def test_an_unknown_header_field_is_rejected() -> None:
    with pytest.raises(ValueError, match="no_such"):
        session.header(0.0, no_such=1)


@pytest.mark.parametrize("name", sorted(session.BULK_FIELDS))
def test_a_header_says_where_the_bulk_of_its_record_is_read(name: str) -> None:
    header = SessionHeader("0123-id", op_name="take_iv")
    assert name not in header.to_dict()
    with pytest.raises(AttributeError, match=rf"'{name}' was not read: .*take_iv 0123-id; smurfq\.client\.Run"):
        getattr(header, name)
    assert getattr(SessionRecord("0123-id"), name) in ([], {}, "")


def test_a_header_is_made_of_a_record_and_a_record_of_a_header() -> None:
    record = SessionRecord("id", op_name="test", simulated=True, data={"a": 1})
    header = SessionHeader.from_dict(record.to_dict())
    assert not hasattr(header, "data")
    assert SessionRecord.from_dict({**header.to_dict(), "data": {"a": 1}}) == record


def test_simulated_is_null_until_a_worker_says_it() -> None:
    assert SessionRecord("id").simulated is None


def test_a_g3_file_that_is_found_and_announced_is_one_file() -> None:
    fold = Fold(SessionRecord("an-id"))
    found, told = (
        {"path": "/1_000.g3", "kind": "g3_file"},
        {"path": "/1_000.g3", "kind": "g3_file", "archive_name": "t"},
    )
    fold.add("a", 0, [session.file_registered(found, 1.0), session.file_registered(told, 2.0)])
    assert fold.finish().files == [told]
