"""The record writer knows what may not be in the record yet, and drops only pieces of the log."""

from __future__ import annotations

import pytest

from smurfq.core import session as events
from smurfq.pool_child import record_writer
from smurfq.pool_child.record_writer import RecordWriter
from smurfq.store import Records, connect
from smurfq.store.feeds import Feeds
from smurfq.store.snapshot import Snapshots


@pytest.fixture
def writer() -> RecordWriter:
    """A writer whose thread is not started, so that nothing is written."""
    client = connect("redis://127.0.0.1:1/0", retries=0)
    records = Records(client, 60.0)
    return RecordWriter("an-id", "test", records, Snapshots(client, records), Feeds(client, 60.0, 1), lambda text: None)


def test_unwritten_events_are_returned_in_numbered_batches(
    writer: RecordWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_writer, "EVENTS_A_BATCH", 2)
    added = [events.message(str(number), 1.0) for number in range(5)]
    for event in added:
        writer.add(event)
    batches = writer.unwritten()
    assert [batch.number for batch in batches] == [1, 2, 3]
    assert [event for batch in batches for event in batch.events] == added
    assert len({batch.writer for batch in batches}) == 1


def test_feed_data_are_no_part_of_the_record(writer: RecordWriter) -> None:
    writer.add({"k": "feed", "name": "a", "slot": "crate1slot2", "t": 1.0, "data": {}})
    writer.add(events.message("kept", 1.0))
    (batch,) = writer.unwritten()
    assert [event["text"] for event in batch.events] == ["kept"]


def test_only_pieces_of_the_log_are_dropped_when_too_many_events_wait(
    writer: RecordWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_writer, "EVENTS_KEPT", 1)
    writer.add(events.message("first", 1.0))
    writer.add({"k": "log", "text": "dropped", "t": 1.0})
    writer.add(events.message("second", 1.0))
    assert writer.dropped == 1
    assert [event["text"] for batch in writer.unwritten() for event in batch.events] == ["first", "second"]


def test_the_last_stage_is_the_operations_own(writer: RecordWriter) -> None:
    writer.add(events.stage("biasing", 1.0))
    writer.add(events.stage("abort: asked", 2.0))
    assert writer.last_stage == "biasing"


def test_progress_is_the_newest_stage_and_message() -> None:
    tail = [events.message("old", 1.0), events.stage("biasing", 2.0), events.message("new", 3.0)]
    assert record_writer._progress_text("test", tail) == "[biasing] new"
    assert record_writer._progress_text("test", []) == ""
