"""The indexes of many records: by slot, operation and time, and by the start of the id."""

from __future__ import annotations

import time

import pytest

from smurfq.core import keys, session
from smurfq.core.session import Outcome, SessionRecord
from smurfq.errors import RecordNotFoundError
from smurfq.store import Records
from smurfq.store.connection import Client

KEPT_S = 1000
SLOTS = ("crate1slot2", "crate1slot3")


@pytest.fixture
def records(valkey: Client) -> Records:
    return Records(valkey, KEPT_S)


def enter(records: Records, *entries: tuple[str, str, str, float]) -> None:
    """Have records of (id, slot, operation, time) in the indexes."""
    with records.client.pipeline() as pipe:
        for entry in entries:
            records.index.queue(pipe, *entry)
            pipe.hset(keys.record(entry[0]), mapping={"slot": f'"{entry[1]}"', "op_name": f'"{entry[2]}"'})
        pipe.execute()


def test_records_are_found_by_slot_operation_and_time(records: Records) -> None:
    now = time.time()
    made = [(f"id-{n}", SLOTS[n % 2], "take_iv" if n % 10 == 3 else "stream", now - 700 + n) for n in range(600)]
    enter(records, *made)

    def expected(slot: str | None, operation: str | None, count: int, before: float = now) -> list[str]:
        found = [
            id_ for id_, at, name, when in made if slot in (None, at) and operation in (None, name) and when < before
        ]
        return found[::-1][:count]

    for slot in (None, *SLOTS):
        for operation in (None, "take_iv", "stream", "uxm_setup"):
            for before in (None, now - 300):
                found = records.history(slot, 35, before, operation)
                assert [one.session_id for one in found] == expected(slot, operation, 35, before or now)
    assert len(records.history(SLOTS[1], 1000, operation="take_iv")) == 60
    assert records.index.newest(SLOTS[1], "take_iv") == "id-593"


def test_an_id_is_found_by_its_beginning_however_many_came_after_it(records: Records) -> None:
    now = time.time()
    enter(records, ("3f2a91c0-old", SLOTS[0], "test", now), ("3f2a91c0-new", SLOTS[0], "test", now))
    enter(records, *((f"{n:04d}", SLOTS[0], "test", now) for n in range(2000)))
    assert records.index.find("3f2a91c0-o") == "3f2a91c0-old"
    assert records.index.find("3f2a91c0-new") == "3f2a91c0-new"
    assert records.index.find("0042") == "0042"
    with pytest.raises(RecordNotFoundError, match="2 record ids begin with '3f2a'; type more"):
        records.index.find("3f2a")
    with pytest.raises(RecordNotFoundError, match="no record's id begins with '3f2b'"):
        records.index.find("3f2b")


def test_the_last_run_is_found_while_many_runs_wait(records: Records) -> None:
    for task_id in ("first", "second"):
        records.start(SessionRecord(task_id, op_name="test", slot=SLOTS[0]))
        assert records.end(task_id, "w", session.ended(1.0, Outcome.SUCCEEDED))
    enter(records, *((f"waits-{n}", SLOTS[0], "test", time.time()) for n in range(30)))
    last = records.last(SLOTS)
    assert {slot: record.session_id for slot, record in last.items()} == {SLOTS[0]: "second"}
    records.client.delete(keys.record("second"))
    assert records.last(SLOTS) == {}


def test_expired_records_are_removed_from_every_index(records: Records) -> None:
    now = time.time()
    enter(records, *((f"old-{n}", SLOTS[n % 2], "test", now - KEPT_S - 1) for n in range(150)))
    enter(records, ("new-1", SLOTS[0], "test", now), ("new-2", SLOTS[0], "test", now))  # a hundred at a time
    client = records.client
    for index in (keys.HISTORY, keys.IDS, keys.history(SLOTS[0]), keys.history_of("test")):
        assert client.zrange(index, 0, -1) == ["new-1", "new-2"], index
        assert 0 < client.ttl(index) <= KEPT_S, "one that nothing is added to goes whole"
    assert 0 < client.ttl(keys.history(SLOTS[1])) <= KEPT_S
