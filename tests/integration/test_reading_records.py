"""Whole records are read completely, long ones in pages, and a lost header is written again."""

from __future__ import annotations

import pytest

from smurfq.core import session
from smurfq.core.session import SessionRecord
from smurfq.store import Batch, Records
from smurfq.store import records as module
from smurfq.store.connection import Client


@pytest.mark.parametrize("batches", [0, 1, 9, 10, 25])  # and one that says that it was claimed
def test_a_long_record_is_read_whole(valkey: Client, monkeypatch: pytest.MonkeyPatch, batches: int) -> None:
    monkeypatch.setattr(module, "BATCHES_A_PAGE", 10)
    records = Records(valkey, 3600)
    records.start(SessionRecord("one", op_name="test", slot="crate1slot2"))
    texts = [f"message {number}" for number in range(batches)]
    for number, text in enumerate(texts):
        records.append(Batch("one", "a writer", number, [session.message(text, float(number))]))
    record = records.read("one")
    assert [text for _, text in record.messages] == texts
    assert (record.messages_total, record.op_name) == (batches, "test")


def test_a_lost_header_is_written_again_and_one_that_is_there_is_left_alone(valkey: Client) -> None:
    records = Records(valkey, 3600)
    record = SessionRecord(
        "one", op_name="test", slot="crate1slot2", params={"wait_s": 1}, status="running", submitted_by="somebody"
    )
    records.append(Batch("one", "bridge", 0, [session.message("came meanwhile", 1.0)], published=1))
    assert records.restore(record, {"id": "one"})
    assert not records.restore(SessionRecord("one", op_name="another"), {})
    found = records.read("one")
    assert (found.op_name, found.slot, found.params, found.submitted_by) == (
        "test",
        "crate1slot2",
        {"wait_s": 1},
        "somebody",
    )
    assert (found.status, found.outcome, found.messages_total) == ("running", None, 1)
    assert [one.session_id for one in records.history("crate1slot2")] == ["one"]
