"""The lengths of a slot's queues, and how other tools count the same messages."""

from __future__ import annotations

import asyncio

import pytest

from smurfq.client.connection import Connection
from smurfq.config import load
from smurfq.core import keys
from smurfq.core.priorities import PRIORITIES
from smurfq.core.slot import LANES, queue_name
from smurfq.store.connection import Client
from smurfq.store.queue_lengths import QueueLength, queue_lengths
from smurfq.store.queues import list_key

SLOT, OTHER = "crate1slot2", "crate1slot3"
STATE = queue_name(SLOT, "state")


def put(client: Client, task_id: str, queue: str, priority: str, at: float | None) -> None:
    """Queue a message that was submitted at a time."""
    client.lpush(list_key(queue, PRIORITIES[priority]), f'{{"headers": {{"id": "{task_id}"}}}}')
    if at is not None:
        client.zadd(keys.WAITING, {task_id: at})


@pytest.fixture
def waiting(valkey: Client) -> None:
    """Four messages of one slot, one of them of a sender that is not smurfq."""
    put(valkey, "a", SLOT, "normal", 100.0)
    put(valkey, "b", SLOT, "normal", 101.0)
    put(valkey, "c", SLOT, "background", 50.0)
    put(valkey, "d", STATE, "urgent", None)


@pytest.mark.usefixtures("waiting")
def test_all_priorities_are_counted_and_the_oldest_message_is_found(valkey: Client) -> None:
    found = {one.queue: one for one in queue_lengths(valkey, [SLOT, OTHER])}
    assert set(found) == {queue_name(slot, lane) for slot in (SLOT, OTHER) for lane in LANES}
    assert found[SLOT] == QueueLength(SLOT, SLOT, 3, 50.0)
    assert found[STATE] == QueueLength(SLOT, STATE, 1, None)
    assert all(one.length == 0 for one in found.values() if one.queue not in (SLOT, STATE))


@pytest.mark.usefixtures("waiting")
def test_kombu_and_flower_count_all_priorities_and_a_plain_llen_only_urgent_ones(
    valkey: Client, valkey_url: str
) -> None:
    app = Connection(load({"SMURFQ_REDIS_URL": valkey_url, "SMURFQ_SLOTS": SLOT})).app
    with app.connection_for_read() as connection:
        assert connection.default_channel.queue_declare(SLOT, passive=True).message_count == 3
    assert valkey.llen(SLOT) == 0
    broker = pytest.importorskip("flower.utils.broker")
    options = app.conf.broker_transport_options
    found = asyncio.run(broker.Broker(app.conf.broker_url, broker_options=options).queues([SLOT, STATE]))
    assert {one["name"]: one["messages"] for one in found} == {SLOT: 3, STATE: 1}
