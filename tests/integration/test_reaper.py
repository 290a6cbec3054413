"""The reaper gives a final state to runs that lost their worker or message, and only to those."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from billiard.exceptions import WorkerLostError
from celery import chain, chord
from celery.app.task import Context
from celery.bin.celery import celery
from celery.result import AsyncResult
from click.testing import CliRunner
from redis.exceptions import ConnectionError as RedisConnectionError

from smurfq.app import app
from smurfq.core import keys, session
from smurfq.core.session import Outcome, SessionRecord
from smurfq.errors import OperationAbortedError, OperationFailedError, OperationLostError
from smurfq.pool_child.context import WorkerContext
from smurfq.reaper import OutcomeWriter, Reaper
from smurfq.reaper.lost_messages import MESSAGE_GONE_S, RESENDS
from smurfq.reaper.reaper import SERVER_GONE_S, WORKER_GONE_S
from smurfq.store import Batch
from smurfq.store.bridge import BridgeBoard, Counters, Health
from smurfq.store.connection import Client
from smurfq.store.fence import Running
from smurfq.store.lua_scripts import lua_script
from smurfq.store.redis_errors import REFUSES
from smurfq.tasks import run
from smurfq.tasks import test as trial
from smurfq.worker.request import SlotRequest
from tests.site.bridge import HOST
from tests.site.eventually import eventually
from tests.site.producer import bind

SLOT = "crate1slot4"


class Clock:
    """A clock that tests turn."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(valkey: Client, valkey_url: str) -> Clock:
    """A clock, and this process bound to a Valkey of which no bridge sweeps away what a test is about."""
    bind({"SMURFQ_REDIS_URL": valkey_url, "SMURFQ_SLOTS": SLOT})
    return Clock()


def left_running(task_id: str, host: str = HOST, **request: Any) -> Running:
    """What a worker that died leaves: a claimed task, its record, and the note that it runs."""
    running = Running(
        task_id=task_id,
        op_name="test",
        slot=SLOT,
        publisher=SLOT,
        host=host,
        lease="a token that is gone",
        started=time.time(),
        request={"id": task_id, "task": "smurfq.test", **request},
    )
    assert app.fence.claim(running, "smurfq.test", 0, "dead worker", '{"status": "STARTED"}').ok
    app.records.start(SessionRecord(task_id, op_name="test", slot=SLOT))
    return running


def test_one_without_a_worker_is_given_up_after_a_while_and_not_before(clock: Clock) -> None:
    running = left_running("reaper-1")
    reaper = Reaper(app, clock)
    assert reaper.sweep() == []
    clock.now = WORKER_GONE_S - 1
    assert reaper.sweep() == []
    clock.now = WORKER_GONE_S
    assert reaper.sweep() == [running.task_id]
    with pytest.raises(OperationLostError, match=HOST):
        app.AsyncResult(running.task_id).get(timeout=20)
    assert app.records.read(running.task_id).outcome == "lost"
    assert app.fence.running(SLOT) is None
    assert "died" in (app.fence.take_needs_make_safe(SLOT) or "")


def test_one_of_another_server_is_given_up_late_since_its_network_may_come_back(clock: Clock) -> None:
    running = left_running("reaper-20", host="smurf-srv2")
    reaper = Reaper(app, clock)
    reaper.sweep()
    clock.now = SERVER_GONE_S - 1
    assert reaper.sweep() == []
    clock.now = SERVER_GONE_S
    assert reaper.sweep() == [running.task_id]
    assert app.records.read(running.task_id).outcome == "lost"


def test_one_of_another_server_is_left_to_the_bridge_there(clock: Clock, valkey: Client) -> None:
    """Only a process on that server can end what is left of the run."""
    running = left_running("reaper-21", host="smurf-srv2")
    board = BridgeBoard(valkey, "second")
    board.show(Health("second", 7, "smurf-srv2", time.time(), "127.0.0.1:8200", 1, Counters()))
    valkey.persist(keys.bridge("second"))
    reaper = Reaper(app, clock)
    reaper.sweep()
    clock.now = 10 * SERVER_GONE_S
    assert reaper.sweep() == []
    board.clear()
    assert reaper.sweep() == []
    clock.now = 11 * SERVER_GONE_S
    assert reaper.sweep() == [running.task_id]


def test_one_whose_worker_lives_is_left_alone(clock: Clock) -> None:
    running = left_running("reaper-2")
    assert app.fence.take_lease(SLOT, running.lease, 60.0)
    reaper = Reaper(app, clock)
    reaper.sweep()
    clock.now = 10 * WORKER_GONE_S
    assert reaper.sweep() == []
    assert app.fence.running(SLOT) == running


def test_a_lease_that_comes_back_starts_the_wait_again(clock: Clock) -> None:
    running = left_running("reaper-3")
    reaper = Reaper(app, clock)
    reaper.sweep()
    clock.now = WORKER_GONE_S - 1
    app.fence.take_lease(SLOT, running.lease, 60.0)
    reaper.sweep()
    app.fence.release_lease(SLOT, running.lease)
    eventually(lambda: app.fence.lease_owner(SLOT) is None)
    clock.now = WORKER_GONE_S + 1
    assert reaper.sweep() == []
    clock.now = 2 * WORKER_GONE_S + 1
    assert reaper.sweep() == [running.task_id]


@pytest.mark.parametrize(("setting", "value"), [("min-replicas-to-write", 1), ("maxmemory", 1)])
def test_one_whose_worker_cannot_renew_its_lease_is_left_alone(clock: Clock, setting: str, value: int) -> None:
    """If Redis does not accept writes, it still answers: as if the worker were gone."""
    running = left_running("reaper-14")
    reaper = Reaper(app, clock)
    reaper.sweep()
    app.store.config_set(setting, value)
    try:
        clock.now = 10 * WORKER_GONE_S
        with pytest.raises(REFUSES):
            reaper.sweep()
    finally:
        app.store.config_set(setting, 0)
    assert reaper.sweep() == []
    assert app.fence.running(SLOT) == running


def test_a_success_that_came_through_late_is_kept(clock: Clock) -> None:
    """What a dead process had sent last, Redis may read after what was asked since."""

    class Slow(OutcomeWriter):
        def conclude_ended(self, running: Running) -> bool:
            ended = super().conclude_ended(running)
            app.write_end(running.task_id, Outcome.SUCCEEDED)
            app.records.append(Batch(running.task_id, "worker", 1, [session.header(0.0, status="stopping")]))
            return ended

    running = left_running("reaper-15")
    Reaper(app, clock, Slow(app)).reap(SLOT)
    assert AsyncResult(running.task_id, app=app).state == "SUCCESS"
    record = app.records.read(running.task_id)
    assert (record.status, record.outcome) == ("done", "succeeded")
    assert not app.write_end(running.task_id, Outcome.LOST)


def test_a_success_that_was_written_and_not_stored_is_kept(clock: Clock) -> None:
    """The worker died between the record's end and Celery's: the result is not lost."""
    running = left_running("reaper-4")
    app.records.append(Batch(running.task_id, "worker", 0, [session.data_set({"Rn": 7.8}, 0.0)]))
    app.write_end(running.task_id, Outcome.SUCCEEDED)
    assert Reaper(app, clock).reap(SLOT) == running
    result = app.AsyncResult(running.task_id)
    assert (result.state, result.get(timeout=20)["data"]) == ("SUCCESS", {"Rn": 7.8})


def test_a_success_whose_next_step_was_never_sent_ends_the_chain(clock: Clock) -> None:
    step = {"task": "smurfq.test", "options": {"task_id": "reaper-5-next"}, "kwargs": {"slot": SLOT}}
    running = left_running("reaper-5", chain=[step])
    app.write_end(running.task_id, Outcome.SUCCEEDED)
    Reaper(app, clock).reap(SLOT)
    assert app.AsyncResult("reaper-5").state == "SUCCESS"
    with pytest.raises(OperationLostError, match="never queued"):
        app.AsyncResult("reaper-5-next").get(timeout=20)


def test_a_failure_that_was_written_and_not_stored_is_kept(clock: Clock) -> None:
    running = left_running("reaper-6")
    app.write_end(running.task_id, Outcome.FAILED, OperationFailedError("no resonators found", slot=SLOT))
    Reaper(app, clock).reap(SLOT)
    with pytest.raises(OperationFailedError, match="no resonators found"):
        app.AsyncResult(running.task_id).get(timeout=20)


def test_a_final_state_is_never_undone(clock: Clock) -> None:
    running = left_running("reaper-7")
    app.backend.mark_as_done(running.task_id, {"all": "well"}, request=Context(id=running.task_id))
    Reaper(app, clock).reap(SLOT)
    assert app.AsyncResult(running.task_id).get(timeout=20) == {"all": "well"}


def take(slot: str, at: float) -> str:
    """The text of the slot's next message, taken as a worker takes it, which then does nothing with it."""
    _, text = app.store.eval(lua_script("take_message"), 3, slot, f"{slot}\x06\x165", f"{slot}\x06\x169", at)
    return str(text)


def long_ago() -> float:
    """When a message must have been taken so that no worker can be about to claim it."""
    return time.time() - MESSAGE_GONE_S - 1


def made_old(*tasks: Any) -> None:
    """Have these tasks be submitted long ago."""
    app.store.zadd(keys.WAITING, {task.id: long_ago() for task in tasks})


def test_a_lost_message_is_sent_again_whole_and_then_given_up(clock: Clock) -> None:
    """As when a worker is killed at the moment at which it takes it from Redis."""
    last = chain(run.si(slot=SLOT, script="/x.py", args=["1"]), trial.si(slot=SLOT)).apply_async(priority=9)
    first = last.parent
    (before,) = app.waiting.waiting(SLOT)
    for _ in range(RESENDS):
        take(SLOT, long_ago())
        made_old(first)
        assert Reaper(app, clock).sweep() == []
        (again,) = app.waiting.waiting(SLOT)
        assert (again.task_id, again.priority, again.kwargs, again.embed) == (
            before.task_id,
            before.priority,
            before.kwargs,
            before.embed,
        )
        assert {**again.headers, "origin": ""} == {**before.headers, "origin": ""}
    assert any("queued again" in text for _, text in app.records.read(first.id).messages)
    take(SLOT, long_ago())
    made_old(first)
    assert Reaper(app, clock).sweep() == [first.id]
    for result in (first, last):
        with pytest.raises(OperationLostError, match="submit it again"):
            result.get(timeout=20)


def test_a_message_that_a_broken_connection_took_is_sent_again(clock: Clock) -> None:
    """What kombu keeps of it is forgotten: it would come back, even where the second was removed meanwhile."""
    task = app.submit("test", slot=SLOT)
    text = take(SLOT, time.time())
    app.store.hset("unacked", "a tag", json.dumps([json.loads(text), "smurfq", SLOT]))
    app.store.zadd("unacked_index", {"a tag": time.time()})
    made_old(task)
    assert Reaper(app, clock).sweep() == []
    assert app.waiting.waiting(SLOT) == [], "a worker may be about to claim it"
    app.store.hset(keys.record(task.id), "_taken", long_ago())
    assert Reaper(app, clock).sweep() == []
    (again,) = app.waiting.waiting(SLOT)
    assert again.task_id == task.id
    assert not app.store.exists("unacked", "unacked_index")
    assert app.waiting.remove(again)
    app.fail_waiting(again)


def purge() -> None:
    """As `app.control.purge()`."""
    assert app.control.purge() > 0


def purge_by_command() -> None:
    """As `celery purge`."""
    answer = CliRunner().invoke(celery, ["-A", "smurfq.app", "purge", "-f", "-Q", SLOT])
    assert "Purged" in answer.output


def delete_queue() -> None:
    """As `celery amqp queue.delete`."""
    with app.connection_for_write() as connection:
        queue = app.amqp.queues[SLOT].bind(connection.default_channel)
        queue.declare()  # as a worker does; kombu deletes what is bound
        queue.delete()


def delete_keys() -> None:
    """As DEL of the lists of all priorities."""
    app.store.delete(*{waiting.key for waiting in app.waiting.waiting(SLOT)})


def trim() -> None:
    """As LTRIM of the list in which the messages are."""
    (key,) = {waiting.key for waiting in app.waiting.waiting(SLOT)}
    app.store.ltrim(key, 1, 0)


def remove_one_by_one() -> None:
    """As LREM, or a client that was killed before it could write the end."""
    for waiting in app.waiting.waiting(SLOT):
        assert app.waiting.remove(waiting)


@pytest.mark.parametrize("discard", [purge, purge_by_command, delete_queue, delete_keys, trim, remove_one_by_one])
def test_a_message_that_was_discarded_ends_as_removed_and_is_not_sent_again(
    clock: Clock, discard: Callable[[], None]
) -> None:
    last = chain(trial.si(slot=SLOT), trial.si(slot=SLOT)).apply_async()
    single = app.submit("test", slot=SLOT)
    discard()
    made_old(last.parent, single)
    assert set(Reaper(app, clock).sweep()) == {last.parent.id, single.id}
    assert app.waiting.waiting(SLOT) == []
    for result in (last.parent, last, single):
        with pytest.raises(OperationAbortedError, match="its message was removed from the queue"):
            result.get(timeout=20)
    assert app.records.read(single.id).outcome == "aborted"
    assert Reaper(app, clock).sweep() == []


def test_a_clock_that_is_set_back_does_not_delay_what_is_done_about_a_message(clock: Clock) -> None:
    taken, purged = app.submit("test", slot=SLOT), app.submit("test", slot=SLOT)
    an_hour_ahead = time.time() + 3600.0
    take(SLOT, an_hour_ahead)
    purge()
    app.store.zadd(keys.WAITING, {taken.id: an_hour_ahead, purged.id: an_hour_ahead})
    assert Reaper(app, clock).sweep() == [purged.id]
    assert [waiting.task_id for waiting in app.waiting.waiting(SLOT)] == [taken.id]
    purge()
    made_old(taken)
    assert Reaper(app, clock).sweep() == [taken.id]


def test_a_purge_ends_waiting_runs_but_not_those_that_a_worker_has_taken(clock: Clock) -> None:
    taken, purged = app.submit("test", slot=SLOT), app.submit("test", slot=SLOT)
    take(SLOT, long_ago())
    purge()
    made_old(taken, purged)
    assert Reaper(app, clock).sweep() == [purged.id]
    assert [waiting.task_id for waiting in app.waiting.waiting(SLOT)] == [taken.id]
    purge()
    made_old(taken)
    assert Reaper(app, clock).sweep() == [taken.id], "sent again, and then removed"
    with pytest.raises(OperationAbortedError, match="removed"):
        taken.get(timeout=20)


def test_a_message_that_came_back_to_its_queue_is_no_longer_marked_as_taken(clock: Clock) -> None:
    """As what kombu puts back that was not acknowledged; removed then, it is not sent again."""
    task = app.submit("test", slot=SLOT)
    text = take(SLOT, long_ago())
    app.store.rpush(SLOT, text)
    made_old(task)
    assert Reaper(app, clock).sweep() == []
    delete_keys()
    assert Reaper(app, clock).sweep() == [task.id]
    with pytest.raises(OperationAbortedError, match="removed"):
        task.get(timeout=20)


def test_one_that_cannot_be_given_up_does_not_keep_the_others_waiting(clock: Clock) -> None:
    broken = app.submit("test", slot=SLOT)
    lost = app.submit("test", slot=SLOT)
    app.store.hdel(keys.record(lost.id), "_message")
    app.store.delete(*{waiting.key for waiting in app.waiting.waiting(SLOT)})
    app.store.hset(keys.record(broken.id), "status", "this is no JSON")
    made_old(broken, lost)
    assert Reaper(app, clock).sweep() == [lost.id]
    assert lost.state == "FAILURE"


def test_a_message_that_waits_is_not_lost_however_long_it_waits(clock: Clock) -> None:
    waits = app.submit("test", slot=SLOT)
    app.store.zadd(keys.WAITING, {waits.id: time.time() - 100 * MESSAGE_GONE_S})
    assert Reaper(app, clock).sweep() == []
    assert waits.state == "PENDING"
    for waiting in app.waiting.waiting(SLOT):
        app.waiting.remove(waiting)
        app.fail_waiting(waiting)
    assert app.records.read(waits.id).outcome == "aborted"


def test_one_that_is_being_claimed_is_not_lost(clock: Clock) -> None:
    """Its message is gone, and its record says still that it waits: the worker writes that in a second step."""
    task = app.submit("test", slot=SLOT)
    (waiting,) = [waiting for waiting in app.waiting.waiting(SLOT) if waiting.task_id == task.id]
    app.waiting.remove(waiting)
    left_running_now = Running(task.id, "test", SLOT, SLOT, "here", "a token", time.time(), {"id": task.id})
    assert app.fence.claim(left_running_now, "smurfq.test", 0, "worker", '{"status": "STARTED"}').ok
    app.store.zadd(keys.WAITING, {task.id: time.time() - MESSAGE_GONE_S - 1})  # as the sweep read it before the claim
    assert Reaper(app, clock).sweep() == []
    assert app.records.header(task.id).status == "queued"
    assert task.state == "STARTED"


def test_one_that_was_given_up_can_not_be_claimed(clock: Clock) -> None:
    assert app.fence.give_up("reaper-8", "smurfq.test")
    assert app.fence.give_up("reaper-8", "smurfq.test"), "by the next reaper, if the first dies before it says so"
    late = Running("reaper-8", "test", SLOT, SLOT, "here", "a token", time.time())
    assert app.fence.claim(late, "smurfq.test", 0, "worker", '{"status": "STARTED"}').answer == "claimed"


def test_a_worker_that_was_taken_over_claims_and_ends_nothing(clock: Clock) -> None:
    """It was stopped past its lease with a message in its hands, and goes on beside its successor."""
    assert app.fence.take_lease(SLOT, "successor", 60.0)
    stale = Running("reaper-9", "test", SLOT, SLOT, "here", "stale", time.time())
    answer = app.fence.claim(stale, "smurfq.test", 0, "stale worker", '{"status": "STARTED"}')
    assert (answer.answer, answer.detail) == ("unleased", "successor")
    running = Running("reaper-10", "test", SLOT, SLOT, HOST, "successor", time.time())
    assert app.fence.claim(running, "smurfq.test", 0, "successor", '{"status": "STARTED"}').ok
    assert Reaper(app, clock).reap(SLOT, by="stale") is None
    assert Reaper(app, clock).reap(SLOT) is None
    assert app.fence.running(SLOT) == running
    assert Reaper(app, clock).reap(SLOT, by="successor") == running


def test_time_without_redis_does_not_count(clock: Clock, valkey_url: str) -> None:
    """Nobody could renew a lease meanwhile."""
    left_running("reaper-11")
    reaper = Reaper(app, clock)
    assert reaper.sweep() == []
    bind({"SMURFQ_REDIS_URL": "redis://127.0.0.1:1/0", "SMURFQ_SLOTS": SLOT})
    with pytest.raises(RedisConnectionError):
        reaper.sweep()
    bind({"SMURFQ_REDIS_URL": valkey_url, "SMURFQ_SLOTS": SLOT})
    clock.now = WORKER_GONE_S + 1
    assert reaper.sweep() == []
    clock.now = 2 * WORKER_GONE_S + 1
    assert reaper.sweep() == ["reaper-11"]


def test_one_that_has_begun_is_left_to_its_worker(clock: Clock) -> None:
    """It had waited for long, and was taken between two looks of the sweep."""
    running = left_running("reaper-12")
    app.store.zadd(keys.WAITING, {running.task_id: time.time() - MESSAGE_GONE_S - 1})
    assert Reaper(app, clock).sweep() == []
    assert app.records.header(running.task_id).status == "starting"
    assert app.store.zscore(keys.WAITING, running.task_id) is None


def test_a_chord_whose_last_member_was_not_counted_continues(clock: Clock) -> None:
    """The worker died between the result and the chord, or after it had begun to send the chord's body."""
    body = chord([trial.si(slot=SLOT), trial.si(slot=SLOT)], trial.si(slot=SLOT)).apply_async()
    members = app.waiting.waiting(SLOT)
    for waiting in members:
        request = {**waiting.headers, **waiting.embed}
        running = left_running(waiting.task_id, group=request["group"], chord=request["chord"])
        app.waiting.remove(waiting)
        app.write_end(waiting.task_id, Outcome.SUCCEEDED)
        app.backend.store_result(waiting.task_id, {"session_id": waiting.task_id}, "SUCCESS", request=Context(request))
        app.backend.client.set(app.backend.get_key_for_group(request["group"], ".c"), "a claim", ex=60)
        assert Reaper(app, clock).reap(SLOT) == running
    assert [waiting.task_id for waiting in app.waiting.waiting(SLOT)] == [body.id]


def test_an_expired_lease_is_renewed_from_two_processes_of_a_worker(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lane and its pool child both find it expired when Redis is back; for neither is it lost."""
    assert app.fence.take_lease(SLOT, "a worker", 60.0)
    monkeypatch.setattr(app.fence, "_renew", lambda **_: -1)  # as read before the other took it
    assert app.fence.take_lease(SLOT, "a worker", 60.0)
    assert not app.fence.take_lease(SLOT, "another", 60.0)


def test_a_pool_child_killed_after_its_task_had_succeeded_fails_nothing(clock: Clock) -> None:
    """The next step of the chain is queued by then; Celery would have it failed with the one that was 'lost'."""
    step = app.submit("test", slot=SLOT)
    chain_of = [{"task": "smurfq.test", "options": {"task_id": step.id}, "kwargs": {"slot": SLOT}}]
    running = left_running("reaper-13", chain=chain_of)
    app.write_end(running.task_id, Outcome.SUCCEEDED)
    request = SlotRequest.__new__(SlotRequest)
    request._app, request.id, request.name, request._already_cancelled = app, running.task_id, "smurfq.test", False
    app.worker_context = WorkerContext(app, SLOT, "control", "a token", {})
    try:
        for _ in range(2):  # with the note of what runs, and after it is gone
            request.on_failure(SimpleNamespace(exception=WorkerLostError("killed")))
            assert AsyncResult(running.task_id, app=app).state == "SUCCESS"
            assert AsyncResult(step.id, app=app).state == "PENDING"
            assert app.records.header(step.id).status == "queued"
            assert app.fence.running(SLOT) is None
    finally:
        del app.worker_context
