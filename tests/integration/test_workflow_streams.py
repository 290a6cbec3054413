"""Streams of a workflow against a real Valkey; threads write what the slots' workers would."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from smurfq.client import Slot
from smurfq.client.connection import Connection
from smurfq.config import load
from smurfq.core import session
from smurfq.core.session import Outcome
from smurfq.errors import ParameterError, RequestError, WorkflowHaltedError
from smurfq.store.connection import Client
from smurfq.workflows import SlotOutcome, Workflow, bias_step, stream, streaming, streams
from tests.integration.records import Writer
from tests.site.eventually import WITHIN_S, eventually
from tests.site.valkey import Valkey

SLOTS = ["crate1slot2", "crate1slot3"]


@dataclass
class Worker:
    """Serves one slot: it runs what waits there as a stream, and does what it is asked to."""

    at: Connection
    slot: str
    comes_on: bool = True
    heeds: tuple[str, ...] = ("stop", "abort")
    asked: list[str] = field(default_factory=list)
    break_off: threading.Event = field(default_factory=threading.Event)
    leave: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> None:
        while not self.leave.is_set():
            for waiting in self.at.queues.waiting(self.slot):
                self._stream(Writer(self.at, waiting.task_id), waiting.task_id)
            self.leave.wait(0.02)

    def _stream(self, writer: Writer, run_id: str) -> None:
        writer.start(self.slot)
        if self.comes_on:
            writer.write(session.data_set({"stream_on": True}, 1.0))
        for request in self.at.control_requests.subscribe(run_id, block_ms=20):
            if request is not None:
                self.asked.append(request.verb)
            if self.leave.is_set() or self.break_off.is_set() or (request is not None and request.verb in self.heeds):
                break
        aborted = bool(self.asked) and self.asked[-1] == "abort"
        writer.write(session.data_set({"stream_on": False}, 2.0))
        writer.end(Outcome.ABORTED if aborted else Outcome.SUCCEEDED, slot=self.slot)


@pytest.fixture
def at(valkey: Client, valkey_url: str) -> Connection:
    limits = {f"SMURFQ_LIMITS_{name}": "0.2" for name in ("CLOSE_STREAM_S", "ABORT_GRACE_S", "KILL_GRACE_S")}
    return Connection(load({"SMURFQ_REDIS_URL": valkey_url, "SMURFQ_SLOTS": " ".join(SLOTS), **limits}))


@pytest.fixture
def workers(at: Connection) -> Iterator[dict[str, Worker]]:
    """A worker of each slot."""
    found = {slot: Worker(at, slot) for slot in SLOTS}
    threads = [threading.Thread(target=worker) for worker in found.values()]
    for thread in threads:
        thread.start()
    yield found
    for worker in found.values():
        worker.leave.set()
    for thread in threads:
        thread.join(WITHIN_S)
        assert not thread.is_alive()


def test_streams_are_on_within_the_block_and_stopped_after_it(at: Connection, workers: dict[str, Worker]) -> None:
    with Workflow(SLOTS, connection=at) as night:
        with streaming(tag="cmb") as found:
            assert found.report.succeeded == found.slots == SLOTS
            assert found.check() is None
            found.wait(0.1)
            assert [worker.asked for worker in workers.values()] == [[], []]
        assert found.ended is not None
        assert found.ended.succeeded == SLOTS
        assert found.close() is found.ended
    assert [worker.asked for worker in workers.values()] == [["stop"], ["stop"]]
    assert night.dropped == {}
    assert [report.operation for report in night.reports] == ["stream on", "stream off"]


def test_a_stream_that_ends_by_itself_drops_its_slot_and_the_others_go_on(
    at: Connection, workers: dict[str, Worker]
) -> None:
    with Workflow(SLOTS, connection=at) as night, streaming() as found:
        workers["crate1slot2"].break_off.set()
        while not night.dropped:
            found.wait(0.1)
        assert found.slots == ["crate1slot3"]
        assert night.dropped == {"crate1slot2": "step 1 stream: the stream ended: somebody stopped it"}
    assert workers["crate1slot3"].asked == ["stop"]


def test_a_stream_that_does_not_come_on_is_aborted(at: Connection, workers: dict[str, Worker]) -> None:
    workers["crate1slot2"].comes_on = False
    with Workflow(SLOTS, connection=at), streaming(deadline_s=2.0) as found:
        report = found.report["crate1slot2"]
        assert (report.outcome, report.reason) == (SlotOutcome.TIMED_OUT, "its stream was not on within 2 s")
        assert report.dropped
        assert found.report["crate1slot3"].ok
        assert found.slots == ["crate1slot3"]
    assert workers["crate1slot2"].asked[0] == "abort"
    assert workers["crate1slot3"].asked == ["stop"]


def test_too_few_streams_halt_it_and_those_that_are_on_are_stopped(at: Connection, workers: dict[str, Worker]) -> None:
    workers["crate1slot2"].comes_on = False
    with (
        pytest.raises(WorkflowHaltedError, match="1 of its slots are left, and it needs 2"),
        Workflow(SLOTS, min_survivors=2, connection=at),
        streaming(deadline_s=2.0),
    ):
        pytest.fail("the block must not begin")
    assert workers["crate1slot3"].asked[0] == "stop"


def test_a_stream_that_does_not_heed_a_stop_is_aborted(
    at: Connection, workers: dict[str, Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "_MARGIN_S", 0.3)
    workers["crate1slot2"].heeds = ("abort",)
    with Workflow(SLOTS, connection=at) as night, streaming() as found:
        pass
    assert workers["crate1slot2"].asked == ["stop", "abort"]
    assert found.ended is not None
    report = found.ended["crate1slot2"]
    assert report.outcome == SlotOutcome.TIMED_OUT
    assert "was not closed within 0.5 s, and was aborted" in report.reason
    assert list(night.dropped) == ["crate1slot2"]


def test_streams_that_nobody_waited_for_are_stopped_and_not_aborted(at: Connection, workers: dict[str, Worker]) -> None:
    with Workflow(SLOTS, connection=at):
        on = stream("on", wait_for_stream=False)
        assert on.succeeded == SLOTS
        eventually(lambda: not any(at.queues.waiting_of(SLOTS).values()), what="both run")
        off = stream("off")
    assert off.succeeded == SLOTS
    assert [worker.asked for worker in workers.values()] == [["stop"], ["stop"]]


def test_the_keywords_of_a_stream_are_passed_on_as_by_sorunlib(at: Connection, workers: dict[str, Worker]) -> None:
    with Workflow(SLOTS, connection=at):
        on = stream("on", tag="stimulator,gain", subtype="cal", downsample_factor=8, filter_order=None, deadline_s=60.0)
        run_id = on["crate1slot2"].record_id
        assert run_id is not None
        params = at.records.header(run_id).params
    assert params["kwargs"] == {"downsample_factor": 8, "filter_order": None}
    assert (params["tag"], params["subtype"]) == ("stimulator,gain", "cal")


def test_a_misspelt_option_starts_nothing(at: Connection) -> None:
    with pytest.raises(ParameterError, match="did you mean 'deadline_s'"), Workflow(SLOTS, connection=at):
        bias_step(deadline=900.0)  # type: ignore[call-arg]
    with (
        pytest.raises(ParameterError, match="did you mean 'deadline_s'"),
        Workflow(SLOTS, connection=at),
        streaming(deadline=900.0),  # type: ignore[call-arg]
    ):
        pytest.fail("the block must not begin")
    assert not any(at.queues.waiting_of(SLOTS).values())


def test_what_is_left_on_is_closed_at_the_end_of_the_workflow(at: Connection, workers: dict[str, Worker]) -> None:
    with pytest.raises(KeyError), Workflow(SLOTS, connection=at) as night:
        stream("on")
        raise KeyError("in the schedule")
    (left_on,) = night.streams
    assert left_on.ended is not None
    assert left_on.ended.succeeded == SLOTS


@pytest.mark.usefixtures("workers")
def test_where_no_slot_is_left_the_time_passes_all_the_same(at: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(streams, "pause", lambda _host, seconds: pauses.append(seconds))
    with Workflow(SLOTS, min_survivors=0, connection=at) as night, streaming() as found:
        night.dropped.update(dict.fromkeys(SLOTS, "for this test"))
        found.wait(1000.0)
    (left_s,) = pauses
    assert 900.0 < left_s <= 1000.0


def test_a_stream_goes_on_though_redis_is_away(tmp_path: Path) -> None:
    server = Valkey(tmp_path, appendfsync="always")
    try:
        at = Connection(load({"SMURFQ_REDIS_URL": server.url, "SMURFQ_SLOTS": SLOTS[0]}))
        with Workflow(connection=at) as night:
            stream("on", wait_for_stream=False)
            (found,) = night.streams
            assert isinstance(found, streams.Streams)
            server.stop()
            found.wait(0.2)
            assert found.check() is None
            server.start()
            found.wait(0.2)
            assert found.slots == SLOTS[:1]
    finally:
        server.stop()


def test_a_slot_whose_queue_is_locked_is_left_out(at: Connection, workers: dict[str, Worker]) -> None:
    Slot("crate1slot2", connection=at).lock("ann")
    with Workflow(SLOTS, connection=at), streaming() as found:
        assert found.report["crate1slot2"].outcome == SlotOutcome.REJECTED
        assert found.slots == ["crate1slot3"]
    assert [worker.asked for worker in workers.values()] == [[], ["stop"]]


def test_a_stream_is_on_or_off(at: Connection) -> None:
    with pytest.raises(RequestError, match="must be 'on' or 'off'; got 'of'"), Workflow(SLOTS, connection=at):
        stream("of")
    with pytest.raises(RequestError, match="in a workflow"):
        stream("on")
