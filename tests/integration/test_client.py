"""The client with a real Valkey and records written as by workers."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from smurfq.client import (
    DataUpdate,
    DoneUpdate,
    LogUpdate,
    MessageUpdate,
    QueueUpdate,
    RecordUpdate,
    Run,
    Slot,
    Slots,
    StageUpdate,
    StatusUpdate,
    StoreUpdate,
    run_reader,
)
from smurfq.client.connection import Connection
from smurfq.config import Settings, load
from smurfq.core import keys, session
from smurfq.core.session import Outcome, SessionRecord
from smurfq.errors import (
    OperationAbortedError,
    OperationFailedError,
    ParameterError,
    RecordNotFoundError,
    RequestError,
    SlotHeldError,
    StoreUnavailableError,
    UnknownOperationError,
    UnknownSlotError,
    WaitTimeoutError,
)
from smurfq.store import records
from smurfq.store.connection import Client
from smurfq.store.control_requests import Request
from smurfq.store.holds import Hold
from tests.integration.records import Writer, beside, serve, until_followed
from tests.site.eventually import WITHIN_S
from tests.site.ports import free_port
from tests.site.valkey import Valkey

SLOTS = "crate1slot2,crate1slot3"


@pytest.fixture
def settings(valkey: Client, valkey_url: str) -> Settings:
    return load({"SMURFQ_REDIS_URL": valkey_url, "SMURFQ_SLOTS": SLOTS})


@pytest.fixture
def connection(settings: Settings) -> Connection:
    return Connection(settings)


@pytest.fixture
def slot(connection: Connection) -> Slot:
    return Slot("crate1slot2", connection=connection)


def _kinds(updates: list[RecordUpdate]) -> list[str]:
    return [update.kind for update in updates]


def _asked(connection: Connection, run: Run) -> Request | None:
    return next(connection.control_requests.subscribe(run.id, block_ms=100))


def test_submit_queues_what_was_asked_for(slot: Slot) -> None:
    run = slot.submit("take_iv", "urgent", tag="cal")
    (waiting,) = slot.queue()
    assert (waiting.task_id, waiting.op_name, waiting.priority) == (run.id, "smurfq.take_iv", 0)
    assert waiting.kwargs["tag"] == "cal"
    record = run.record()
    assert (record.status, record.op_name, record.slot) == ("queued", "take_iv", "crate1slot2")
    assert slot.history()[0].session_id == run.id


@pytest.mark.parametrize(
    ("operation", "params", "error"),
    [
        ("take_iw", {}, UnknownOperationError),
        ("take_iv", {"tagg": "cal"}, ParameterError),
        ("set_biases", {"bias": 99.0}, ParameterError),
    ],
)
def test_wrong_submissions_are_rejected_before_anything_is_queued(
    slot: Slot, operation: str, params: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        slot.submit(operation, **params)
    with pytest.raises(RequestError, match="background"):
        slot.submit("test", "soon")  # type: ignore[arg-type]
    assert slot.queue() == []
    assert slot.history() == []


def test_a_slot_that_the_site_does_not_have_is_rejected(settings: Settings) -> None:
    with pytest.raises(UnknownSlotError, match="crate1slot3"):
        Slot("crate1slot4", settings)


def test_follow_tells_the_past_and_then_all_as_it_happens(slot: Slot, connection: Connection) -> None:
    run = slot.submit("test")
    writer = Writer(connection, run.id)
    writer.start()
    writer.message("in the past")
    followed = run.follow(timeout=WITHIN_S)
    assert isinstance(next(followed), StatusUpdate)
    assert next(followed) == MessageUpdate(pytest.approx(time.time(), abs=60), "in the past")  # type: ignore[arg-type]

    writer.write(session.data_set({"a": 1}, 2.0), session.stage("noise", 3.0))
    assert next(followed) == DataUpdate(2.0, {"a": 1}, [])
    assert next(followed) == StageUpdate(3.0, "noise")
    repeated = writer.write(session.log_text("once\n", 4.0))
    connection.records.append(repeated)
    assert next(followed) == LogUpdate(4.0, "once\n")
    writer.end(Outcome.SUCCEEDED)
    (done,) = list(followed)
    assert isinstance(done, DoneUpdate)
    assert done.record == run.record()
    assert done.record.data == {"a": 1}


@pytest.fixture
def _no_look_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers do not look again in the time that a test has: what they learn comes by events, or is known."""
    monkeypatch.setattr(run_reader, "LOOK_EVERY_S", 10 * WITHIN_S)


@pytest.mark.usefixtures("_no_look_round")
def test_an_update_comes_at_once_and_not_at_the_next_look(slot: Slot, connection: Connection) -> None:
    run = slot.submit("test")
    writer = Writer(connection, run.id)
    writer.start()
    followed = run.follow(timeout=WITHIN_S, past=False)
    come = threading.Semaphore(0)

    def write() -> None:
        until_followed(connection)
        for number in range(20):
            writer.message(str(number))
            assert come.acquire(timeout=WITHIN_S)  # each is there before the next is written
        writer.end(Outcome.SUCCEEDED)

    with beside(write):
        texts = []
        for update in followed:
            if isinstance(update, MessageUpdate):
                texts.append(update.text)
                come.release()
    assert texts == [str(number) for number in range(20)]


@pytest.mark.usefixtures("_no_look_round")
def test_a_finished_run_is_reported_whole_and_at_once(slot: Slot, connection: Connection) -> None:
    run = slot.submit("test")
    writer = Writer(connection, run.id)
    writer.start()
    writer.message("hello")
    writer.end(Outcome.FAILED, {"type": "OperationFailedError", "message": "no"})
    assert _kinds(list(run.follow(timeout=WITHIN_S))) == ["status", "message", "done"]
    assert _kinds(list(run.follow(timeout=WITHIN_S, past=False))) == ["done"]  # without waiting for news
    assert run.wait(timeout=WITHIN_S).outcome == "failed"


def test_a_finished_run_of_many_batches_is_told_to_its_end(
    slot: Slot, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "_READ_COUNT", 3)
    run = slot.submit("test")
    writer = Writer(connection, run.id)
    writer.start()
    for number in range(10):
        writer.message(str(number))
    writer.end(Outcome.SUCCEEDED)
    assert _kinds(list(run.follow(timeout=WITHIN_S))) == ["status", *10 * ["message"], "done"]


def test_a_waiting_run_tells_what_it_waits_for(slot: Slot, connection: Connection) -> None:
    first, second = slot.submit("test"), slot.submit("take_iv")
    followed = second.follow(timeout=WITHIN_S)
    update = next(followed)
    assert isinstance(update, QueueUpdate)
    assert update.place == 2
    assert f"behind test {first.id[:8]}" in update.text
    assert "no worker serves crate1slot2" in update.text
    serve(connection)
    Writer(connection, first.id).start()
    update = next(followed)
    assert isinstance(update, QueueUpdate)
    assert update.text == f"next in the queue of crate1slot2; test {first.id[:8]} runs there"
    slot.hold(owner="ann", note="swap")
    update = next(followed)
    assert isinstance(update, QueueUpdate)
    assert "held by ann (swap)" in update.text


def test_wait_returns_the_final_record_whatever_the_outcome(slot: Slot, connection: Connection) -> None:
    run = slot.submit("test")
    writer = Writer(connection, run.id)
    error = {"type": "OperationFailedError", "message": "no detector", "exit_code": "3"}
    with beside(lambda: until_followed(connection), writer.start, lambda: writer.end(Outcome.FAILED, error)):
        record = run.wait(timeout=WITHIN_S)
    assert (record.outcome, record.success, record.error) == ("failed", False, error)
    with pytest.raises(OperationFailedError, match="no detector") as caught:
        run.result(timeout=WITHIN_S)
    assert caught.value.exit_code == "3"


def test_the_result_of_a_success_is_the_record(slot: Slot, connection: Connection) -> None:
    run = slot.submit("test")
    writer = Writer(connection, run.id)
    writer.start()
    writer.write(session.data_set({"test": 10}, 1.0))
    writer.end(Outcome.SUCCEEDED)
    assert run.result(timeout=WITHIN_S)["data"] == {"test": 10}
    assert Run(run.id, connection.settings).wait(WITHIN_S).success


def test_a_wait_that_ends_too_soon_says_what_the_run_does(slot: Slot, connection: Connection) -> None:
    run = slot.submit("test")
    with pytest.raises(WaitTimeoutError, match="next in the queue of crate1slot2"):
        run.wait(timeout=0.05)
    writer = Writer(connection, run.id)
    writer.start()
    writer.write(session.stage("find_freq", 1.0), session.message("band 3", 2.0))
    started = time.monotonic()
    with pytest.raises(WaitTimeoutError, match=r"running since .* stage 'find_freq', last message 'band 3'"):
        run.wait(timeout=0.3)
    assert time.monotonic() - started > 0.25


@pytest.mark.parametrize(("state", "outcome"), [("REVOKED", "aborted"), ("FAILURE", "failed")])
def test_a_run_that_only_celery_has_ended_is_over(slot: Slot, connection: Connection, state: str, outcome: str) -> None:
    run = slot.submit("test")
    followed = run.follow(timeout=WITHIN_S)
    assert isinstance(next(followed), QueueUpdate)
    connection.app.backend.store_result(run.id, ValueError("gone"), state)
    *_, done = list(followed)
    assert isinstance(done, DoneUpdate)
    assert done.record.outcome == outcome
    assert done.record.op_name == "test"
    assert run.wait(timeout=WITHIN_S).outcome == run.record().outcome == outcome


def test_celerys_state_does_not_precede_the_workers(slot: Slot, connection: Connection) -> None:
    run = slot.submit("test")
    writer = Writer(connection, run.id)
    writer.start()
    followed = run.follow(timeout=WITHIN_S)
    assert isinstance(next(followed), StatusUpdate)
    writer.write(session.data_set({"test": 10}, 1.0))
    writer.end(Outcome.SUCCEEDED)
    connection.app.backend.store_result(run.id, run.record().to_dict(), "SUCCESS")
    assert _kinds(list(followed)) == ["data", "done"]


def test_an_unknown_run_is_reported_as_such(slot: Slot) -> None:
    for ask in (Run.record, lambda run: list(run.follow()), lambda run: run.wait(1.0), Run.abort, Run.remove):
        with pytest.raises(RecordNotFoundError, match="smurfq history"):
            ask(slot.run("no-such-run"))


def test_a_record_that_vanishes_ends_its_followers(slot: Slot, connection: Connection) -> None:
    run = slot.submit("test")
    followed = run.follow(timeout=WITHIN_S)
    next(followed)
    connection.redis.flushall()
    with pytest.raises(RecordNotFoundError):
        list(followed)


@pytest.mark.parametrize("verb", ["abort", "stop"])
def test_ending_one_that_waits_takes_it_out_of_its_queue(slot: Slot, verb: str) -> None:
    run, other = slot.submit("test"), slot.submit("test")
    assert getattr(run, verb)(by="ann", reason="enough") == "removed"
    assert [item.task_id for item in slot.queue()] == [other.id]
    record = run.record()
    assert (record.outcome, record.done) == ("aborted", True)
    assert record.error is not None
    assert "by ann before it had started: enough" in record.error["message"]
    with pytest.raises(OperationAbortedError):
        run.result(timeout=WITHIN_S)
    assert getattr(run, verb)() == "over"


def test_ending_a_running_operation_sends_a_request(slot: Slot, connection: Connection) -> None:
    run = slot.submit("test")
    with pytest.raises(RequestError, match="no operation is running on crate1slot2"):
        slot.abort()
    writer = Writer(connection, run.id)
    writer.start()
    assert slot.abort(by="ann", reason="enough", grace_s=0.5) == "asked"
    asked = _asked(connection, run)
    assert asked is not None
    assert (asked.verb, asked.by, asked.reason, asked.grace_s) == ("abort", "ann", "enough", 0.5)
    with pytest.raises(WaitTimeoutError):
        slot.abort(wait_s=0.1)
    with beside(lambda: until_followed(connection), lambda: writer.end(Outcome.ABORTED)):
        assert slot.abort(wait_s=WITHIN_S) == "asked"
    assert run.record().outcome == "aborted"


def test_aborting_a_run_that_is_taken_but_not_claimed_sends_a_request(slot: Slot, connection: Connection) -> None:
    run = slot.submit("test")
    assert connection.queues.remove(slot.queue()[0])
    assert run.abort(by="ann") == "asked"
    asked = _asked(connection, run)
    assert asked is not None
    assert asked.verb == "abort"


def test_the_queue_can_be_put_in_another_order(slot: Slot, connection: Connection) -> None:
    runs = [slot.submit("test", priority) for priority in ("urgent", "normal", "background")]
    runs[2].move_to_front()
    assert [item.task_id for item in slot.queue()] == [runs[2].id, runs[0].id, runs[1].id]
    runs[0].remove()
    assert [item.task_id for item in slot.queue()] == [runs[2].id, runs[1].id]
    Writer(connection, runs[1].id).start()
    for ask in (Run.remove, Run.move_to_front):
        with pytest.raises(RequestError, match="it is running"):
            ask(runs[1])
        with pytest.raises(RequestError, match="it ended as aborted"):
            ask(runs[0])


def test_a_hold_is_its_owner_s(slot: Slot, connection: Connection) -> None:
    held = slot.hold(owner="ann", note="swap", for_s=60.0)
    assert held.confirmed  # nobody is there who could start anything
    assert held.hold.until == pytest.approx(time.time() + 60, abs=5)
    assert slot.status().hold == held.hold
    with pytest.raises(SlotHeldError, match="held by ann"):
        slot.hold(owner="bob")
    with pytest.raises(SlotHeldError, match="held by ann"):
        slot.release(owner="bob")
    assert slot.release(owner="ann")
    assert not slot.release(owner="ann")


def test_a_hold_that_a_living_worker_does_not_confirm_says_so(slot: Slot, connection: Connection) -> None:
    serve(connection)
    assert not slot.hold(owner="ann").confirmed
    assert slot.status().hold is not None


def test_emergency_off_goes_before_all_else_and_outlives_another_s_hold(slot: Slot, connection: Connection) -> None:
    slot.submit("test", "urgent")
    connection.holds.put(Hold("crate1slot2", "ann", "swap", time.time(), time.time() + 600))
    run = slot.emergency_off(by="bob", reason="warm-up")
    first = slot.queue()[0]
    assert (first.task_id, first.op_name, first.queue) == (run.id, "smurfq.all_off", "crate1slot2.emergency")
    hold = slot.status().hold
    assert hold is not None
    assert (hold.owner, hold.until) == ("bob", None)
    assert "warm-up" in hold.note
    assert "ann" in hold.note
    updates = run.follow(timeout=WITHIN_S)
    update = next(updates)
    assert isinstance(update, QueueUpdate)
    assert "held" not in update.text


def test_status_tells_who_serves_what_runs_and_what_waits(slot: Slot, connection: Connection) -> None:
    status = slot.status()
    assert (status.alive, status.running, status.waiting, status.last, status.bridge) == (False, (), (), None, None)
    over, run, waiting = slot.submit("test"), slot.submit("test"), slot.submit("take_iv")
    first, second = Writer(connection, over.id), Writer(connection, run.id)
    first.start()
    first.end(Outcome.SUCCEEDED)
    second.start()
    second.write(session.stage("noise", 1.0), session.message("hello", 2.0))
    serve(connection)
    connection.redis.hset(keys.worker("crate1slot2"), mapping={"host": '"smurf-srv"', "pid": "12"})
    status = slot.status()
    assert status.alive
    assert status.workers[0].about == {"host": "smurf-srv", "pid": 12}
    assert not status.workers[1].alive
    (running,) = status.running
    assert (running.record.session_id, running.stage, running.message) == (run.id, "noise", "hello")
    assert running.elapsed_s == pytest.approx(0, abs=30)
    assert [item.task_id for item in status.waiting] == [waiting.id]
    assert status.last is not None
    assert status.last.session_id == over.id
    told = status.to_dict()
    assert told["running"][0]["stage"] == "noise"
    assert told["waiting"][0]["op_name"] == "take_iv"


def test_several_slots_at_once(settings: Settings) -> None:
    slots = Slots(settings=settings)
    assert [slot.slot for slot in slots] == ["crate1slot2", "crate1slot3"]
    runs = slots.submit("test")
    assert {name: [item.task_id for item in slots[name].queue()] for name in runs} == {
        name: [run.id] for name, run in runs.items()
    }
    for run in runs.values():
        run.remove()
    assert {record.outcome for record in slots.wait(runs, WITHIN_S).values()} == {"aborted"}
    assert set(slots.status()) == set(runs)
    assert set(slots.hold("ann")) == set(runs)
    assert {run.record().op_name for run in slots.emergency_off("bob").values()} == {"all_off"}
    with pytest.raises(UnknownSlotError):
        Slots(["crate9slot9"], settings)


def test_that_redis_is_away_is_reported_as_such(settings: Settings) -> None:
    url = f"redis://:secret@127.0.0.1:{free_port()}/0"
    slot = Slot("crate1slot2", load({"SMURFQ_REDIS_URL": url, "SMURFQ_SLOTS": SLOTS}))
    for ask in (
        slot.status,
        slot.hold,
        slot.running,
        slot.history,
        lambda: slot.submit("test"),
        lambda: slot.run("x").record(),
        lambda: slot.run("x").follow(),
        lambda: slot.run("x").wait(1.0),
    ):
        with pytest.raises(StoreUnavailableError, match=r"redis://.*does not answer") as caught:
            ask()
        assert "secret" not in str(caught.value)


@pytest.fixture
def restartable(tmp_path: Path) -> Iterator[Valkey]:
    with Valkey(tmp_path, appendfsync="always") as server:
        yield server


def test_a_password_that_is_wrong_is_reported_as_such(restartable: Valkey) -> None:
    address = f"127.0.0.1:{restartable.port}/0"
    Connection(load({"SMURFQ_REDIS_URL": f"redis://{address}"})).redis.config_set("requirepass", "right")
    for url in (f"redis://{address}", f"redis://:wrong@{address}"):
        slot = Slot("crate1slot2", load({"SMURFQ_REDIS_URL": url, "SMURFQ_SLOTS": SLOTS}))
        with pytest.raises(StoreUnavailableError, match="rejected the user or password") as caught:
            slot.status()
        assert "wrong" not in str(caught.value)


def test_following_survives_an_outage_and_continues_where_it_was(restartable: Valkey) -> None:
    settings = load({"SMURFQ_REDIS_URL": f"redis://127.0.0.1:{restartable.port}/0", "SMURFQ_SLOTS": SLOTS})
    slot = Slot("crate1slot2", settings)
    run = slot.submit("test")
    writer = Writer(Connection(settings), run.id)
    writer.start()
    writer.message("before")
    followed = run.follow(timeout=WITHIN_S)
    assert _kinds([next(followed), next(followed)]) == ["status", "message"]
    restartable.stop()
    away = next(followed)
    assert isinstance(away, StoreUpdate)
    assert away.away
    restartable.start()
    writer.message("after")
    back = next(followed)
    assert isinstance(back, StoreUpdate)
    assert not back.away
    after = next(followed)
    assert isinstance(after, MessageUpdate)
    assert after.text == "after"
    writer.end(Outcome.SUCCEEDED)
    assert _kinds(list(followed)) == ["done"]


def test_a_wait_ends_in_time_though_redis_is_away(restartable: Valkey) -> None:
    settings = load({"SMURFQ_REDIS_URL": f"redis://127.0.0.1:{restartable.port}/0", "SMURFQ_SLOTS": SLOTS})
    run = Slot("crate1slot2", settings).submit("test")
    followed = run.follow(timeout=2.0)
    next(followed)
    restartable.stop()
    with pytest.raises(WaitTimeoutError, match="Redis does not answer"):
        list(followed)


def test_the_connection_of_this_process_is_the_environment_s(
    valkey: Client, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from smurfq.client import connection as module

    monkeypatch.setenv("SMURFQ_REDIS_URL", valkey_url)
    monkeypatch.setenv("SMURFQ_SLOTS", SLOTS)
    module._from_environment.cache_clear()
    try:
        slot = Slot("crate1slot3")
        found = slot._connection
        assert found.settings == load(os.environ)
        assert Slot("crate1slot2")._connection is found
        found.records.start(SessionRecord("an-id", op_name="test", slot="crate1slot3"))
        assert Run("an-id").record().op_name == "test"
        writer = Writer(found, "an-id")
        writer.end(Outcome.SUCCEEDED)
        assert _kinds(list(Run("an-id").follow())) == ["status", "done"]
        assert Run("an-id").abort() == Run("an-id").stop() == "over"
    finally:
        module._from_environment.cache_clear()


def test_a_follower_can_be_shared_out_to_threads(slot: Slot, connection: Connection) -> None:
    run = slot.submit("test")
    writer = Writer(connection, run.id)
    writer.start()
    found: list[list[str]] = []
    threads = [
        threading.Thread(target=lambda: found.append(_kinds(list(run.follow(timeout=WITHIN_S))))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for number in range(50):
        writer.message(str(number))
    writer.end(Outcome.SUCCEEDED)
    for thread in threads:
        thread.join(WITHIN_S)
    assert found == 4 * [["status", *50 * ["message"], "done"]]


def test_a_follower_raises_when_redis_was_emptied(settings: Settings, valkey: Client) -> None:
    run = Slot("crate1slot2", connection=Connection(settings)).submit("test")
    with pytest.raises(RecordNotFoundError, match="no session record"):
        for _ in run.follow(timeout=WITHIN_S):
            valkey.flushall()
