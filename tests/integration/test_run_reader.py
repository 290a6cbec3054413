"""Reading several runs at once, against a real Valkey: records written as workers write them."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import pytest

from smurfq.client import run_reader
from smurfq.client.connection import Connection
from smurfq.client.run_reader import RunReader
from smurfq.config import load
from smurfq.core import keys, session
from smurfq.core.session import Event, Outcome, SessionRecord
from smurfq.errors import OperationAbortedError
from smurfq.store.connection import Client
from tests.integration.records import Writer, beside, until_followed
from tests.site.eventually import WITHIN_S
from tests.site.valkey import Valkey

SLOTS = ("crate1slot2", "crate1slot3")


@pytest.fixture
def at(valkey: Client, valkey_url: str) -> Connection:
    return Connection(load({"SMURFQ_REDIS_URL": valkey_url, "SMURFQ_SLOTS": " ".join(SLOTS)}))


def begin(at: Connection, slot: str) -> Writer:
    at.records.start(SessionRecord(session_id=f"run-{slot}", op_name="stream", slot=slot))
    return Writer(at, f"run-{slot}")


@pytest.fixture
def reader(at: Connection) -> RunReader:
    """A reader of a run on each slot."""
    reader = RunReader(at)
    for slot in SLOTS:
        reader.add(slot, f"run-{slot}")
    return reader


def soon() -> float:
    return time.monotonic() + WITHIN_S


def test_one_blocking_read_brings_the_events_of_whichever_run_has_any(
    at: Connection, reader: RunReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_reader, "LOOK_EVERY_S", 10 * WITHIN_S)
    writers = {slot: begin(at, slot) for slot in SLOTS}
    assert set(reader.read(SLOTS, 0.0)) == set(SLOTS), "the claims of both"
    assert reader.read(SLOTS, 0.0) == {}
    for slot in SLOTS:
        event = session.message(f"hello from {slot}", 1.0)
        with beside(partial(until_followed, at), partial(writers[slot].write, event)):
            assert reader.read(SLOTS, WITHIN_S) == {slot: [event]}


def test_a_header_is_as_new_as_the_events(at: Connection, reader: RunReader) -> None:
    writer = begin(at, SLOTS[0])
    reader.read(SLOTS, 0.0)
    header = reader.header(SLOTS[0])
    assert header is not None
    assert (header.status, header.op_name) == ("starting", "stream")
    writer.start()
    writer.end(Outcome.FAILED, {"type": "OperationFailedError", "message": "no"})
    assert [event["k"] for event in reader.read(SLOTS, 0.0)[SLOTS[0]]] == ["header", "header"]
    header = reader.header(SLOTS[0])
    assert header is not None
    assert reader.over(SLOTS[0])
    assert (header.outcome, header.error) == ("failed", {"type": "OperationFailedError", "message": "no"})
    assert reader.header(SLOTS[1]) is None
    assert not reader.over(SLOTS[1])


def test_a_batch_that_was_written_twice_is_read_once(at: Connection, reader: RunReader) -> None:
    writer = begin(at, SLOTS[0])
    event = session.message("once", 1.0)
    at.records.append(writer.write(event))
    found = reader.read(SLOTS, 0.0)[SLOTS[0]]
    assert found.count(event) == 1


def test_runs_are_waited_for_together_until_each_is_far_enough(at: Connection, reader: RunReader) -> None:
    writers = {slot: begin(at, slot) for slot in SLOTS}
    on: set[str] = set()

    def heed(slot: str, events: list[Event]) -> None:
        on.update(slot for event in events if event["k"] == "data" and event["set"]["stream_on"])

    looks = iter(range(1000))

    def check() -> None:
        if next(looks) == 1:
            writers[SLOTS[0]].write(session.data_set({"stream_on": True}, 1.0))

    assert reader.wait(SLOTS[:1], on.__contains__, until=soon(), check=check, heed=heed) == set()
    assert next(looks) > 1
    assert reader.wait(SLOTS, on.__contains__, until=time.monotonic(), heed=heed) == {SLOTS[1]}
    writers[SLOTS[1]].write(session.data_set({"stream_on": True}, 1.0))
    assert reader.wait(SLOTS, on.__contains__, until=soon(), heed=heed) == set()


@pytest.mark.parametrize(
    "meta",
    [
        '{"status": "REVOKED", "result": null, "date_done": null}',
        '{"result": {"status": "PROGRESS"}, "date_done": null, "status": "REVOKED"}',
    ],
)
@pytest.mark.parametrize("recorded", [True, False])
def test_a_run_that_only_celery_ended_is_over_too(
    valkey: Client, at: Connection, reader: RunReader, meta: str, recorded: bool
) -> None:
    if recorded:
        begin(at, SLOTS[0])
    valkey.set(keys.meta(f"run-{SLOTS[0]}"), meta)
    assert reader.wait(SLOTS[:1], reader.over, until=soon()) == set()
    header = reader.header(SLOTS[0])
    assert header is not None
    assert header.outcome == Outcome.ABORTED


def test_another_run_takes_the_place_of_the_one_before(at: Connection, reader: RunReader) -> None:
    begin(at, SLOTS[0]).end(Outcome.FAILED)
    assert reader.wait(SLOTS[:1], reader.over, until=soon()) == set()
    reader.add(SLOTS[0], "the-next")
    assert not reader.over(SLOTS[0])
    assert reader.ids[SLOTS[0]] == "the-next"


def test_an_end_asked_for_ends_the_wait(at: Connection, reader: RunReader) -> None:
    begin(at, SLOTS[0])

    def check() -> None:
        raise OperationAbortedError("asked for")

    with pytest.raises(OperationAbortedError, match="asked for"):
        reader.wait(SLOTS[:1], reader.over, until=soon(), check=check)


def test_a_wait_goes_on_after_an_outage_and_misses_nothing(tmp_path: Path) -> None:
    server = Valkey(tmp_path, appendfsync="always")
    try:
        at = Connection(load({"SMURFQ_REDIS_URL": server.url, "SMURFQ_SLOTS": SLOTS[0]}))
        writer, reader = begin(at, SLOTS[0]), RunReader(at)
        reader.add(SLOTS[0], f"run-{SLOTS[0]}")
        reader.read(SLOTS[:1], 0.0)
        server.stop()
        assert reader.wait(SLOTS[:1], reader.over, until=time.monotonic() + 0.2) == {SLOTS[0]}
        assert reader.away.cause is not None
        events: list[Event] = []

        def check() -> None:
            if not events and server.pid == 0:
                server.start()
                writer.message("meanwhile")
                writer.end(Outcome.SUCCEEDED)

        heard = reader.wait(SLOTS[:1], reader.over, until=soon(), check=check, heed=lambda _, new: events.extend(new))
        assert heard == set()
        assert reader.away.cause is None
        assert [event["k"] for event in events] == ["message", "header"]
    finally:
        server.stop()
