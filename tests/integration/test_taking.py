"""No message is lost with the worker that takes it, and no discarded message comes back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from queue import Empty
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from smurfq.app import app
from smurfq.core import keys
from smurfq.core.slot import queue_name
from smurfq.errors import OperationAbortedError
from smurfq.store.connection import Client
from smurfq.tasks import run
from smurfq.tasks import test as trial
from smurfq.worker.taking import marking_channel
from tests.site.eventually import WITHIN_S, eventually
from tests.site.live import LiveSite
from tests.site.producer import bind

SLOT, EMERGENCY = "crate1slot4", "crate1slot4.emergency"


@pytest.fixture
def channel(valkey: Client, valkey_url: str) -> Iterator[Any]:
    """A worker's channel, that serves a slot's emergency and control queue; its site has no worker and no bridge."""
    bind({"SMURFQ_REDIS_URL": valkey_url, "SMURFQ_SLOTS": SLOT})
    delivered: list[Any] = []
    with app.connection_for_write() as connection:
        connection.transport.Channel = marking_channel(connection.transport.Channel)
        channel = connection.channel()
        for name in (EMERGENCY, SLOT):
            queue = app.amqp.queues[name].bind(channel)
            queue.declare()
            queue.consume(consumer_tag=name, callback=delivered.append)
        channel.delivered = delivered
        channel.client.connection = channel.client.connection_pool.get_connection()
        yield channel
        channel._in_poll = None


def look(channel: Any) -> None:
    """Ask Redis once for a message or, if there was none, for a wake-up; and read the answer."""
    channel._brpop_start(timeout=WITHIN_S)
    with suppress(Empty):
        channel._brpop_read()


def test_a_worker_that_dies_before_it_reads_the_answer_leaves_a_mark(channel: Any) -> None:
    task = trial.delay(slot=SLOT)
    channel._brpop_start()
    channel.client.connection.disconnect()
    eventually(lambda: app.waiting.waiting(SLOT) == [], what="Redis has given the message away")
    assert app.store.hexists(keys.record(task.id), "_taken")
    (taken,) = app.waiting.missing_of({SLOT: [task.id]}).values()
    assert taken is not None and taken <= time.time()


def test_a_message_that_nobody_took_has_no_mark(channel: Any) -> None:
    task = trial.delay(slot=SLOT)
    app.store.delete(f"{SLOT}\x06\x165")
    assert app.waiting.missing_of({SLOT: [task.id]}) == {task.id: None}


def test_emergencies_come_first_and_then_by_priority(channel: Any) -> None:
    background, normal, urgent = (app.submit("test", slot=SLOT, priority=each) for each in (9, 5, 0))
    emergency = app.submit("test", slot=SLOT, emergency=True)
    for _ in range(4):
        look(channel)
    ids = [message.headers["id"] for message in channel.delivered]
    assert ids == [emergency.id, urgent.id, normal.id, background.id]


def test_a_worker_that_waits_is_woken_by_a_submission(channel: Any) -> None:
    look(channel)
    channel._brpop_start(timeout=WITHIN_S)
    task = trial.delay(slot=SLOT)
    with pytest.raises(Empty):
        channel._brpop_read()
    look(channel)
    assert [message.headers["id"] for message in channel.delivered] == [task.id]


def test_a_list_of_wake_ups_that_is_none_loses_no_message(channel: Any) -> None:
    app.store.set(keys.wake(SLOT), "no list")
    first, second = trial.delay(slot=SLOT), trial.delay(slot=SLOT)
    for _ in range(2):
        look(channel)
    assert [message.headers["id"] for message in channel.delivered] == [first.id, second.id]


def test_each_worker_of_a_queue_is_woken_while_messages_are_left(channel: Any) -> None:
    """A batch wakes one of them; who takes a message wakes the next."""
    with app.batch():
        trial.delay(slot=SLOT)
        trial.delay(slot=SLOT)
    assert app.store.lpop(keys.wake(SLOT)) is not None
    look(channel)
    assert app.store.lpop(keys.wake(SLOT)) is not None
    look(channel)
    assert app.store.lpop(keys.wake(SLOT)) is None


def test_a_message_that_is_put_back_has_no_mark(channel: Any) -> None:
    task = trial.delay(slot=SLOT)
    look(channel)
    (message,) = channel.delivered
    channel.basic_reject(message.delivery_tag, requeue=True)
    assert [waiting.task_id for waiting in app.waiting.waiting(SLOT)] == [task.id]
    assert not app.store.hexists(keys.record(task.id), "_taken")


def test_a_full_memory_loses_no_message(channel: Any) -> None:
    """The mark is rejected; then the message must stay where it is."""
    task = trial.delay(slot=SLOT)
    app.store.config_set("maxmemory", 1)
    try:
        with pytest.raises(RedisConnectionError, match="maxmemory"):
            look(channel)
    finally:
        app.store.config_set("maxmemory", 0)
    assert [waiting.task_id for waiting in app.waiting.waiting(SLOT)] == [task.id]


def test_a_message_that_was_purged_during_a_run_never_runs(site: LiveSite) -> None:
    slot = "crate1slot1"
    proof = site.folder / "purged-ran"
    script = site.script("purged.py", f"open({str(proof)!r}, 'w')")
    gate = site.gate("purging")
    runs = run.delay(slot=slot, script=gate.script)
    eventually(lambda: app.fence.running(queue_name(slot, "control")), WITHIN_S, "it runs")
    purged = [run.delay(slot=slot, script=script) for _ in range(3)]
    assert app.control.purge() == 3
    for result in purged:
        with pytest.raises(OperationAbortedError, match="its message was removed from the queue"):
            result.get(timeout=WITHIN_S)
    gate.open()
    assert runs.get(timeout=WITHIN_S)["success"]
    assert trial.delay(slot=slot).get(timeout=WITHIN_S)["success"]
    assert not proof.exists()
