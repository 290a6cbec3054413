"""Each answer of the scripts that take, find, resend and move messages, from a real Valkey."""

from __future__ import annotations

from typing import Any

import pytest

from smurfq.core import keys
from smurfq.store.connection import Client
from smurfq.store.lua_scripts import lua_script
from smurfq.store.queues import Queues, list_key

SLOT = "crate1slot2"
HIGH = list_key(f"{SLOT}.emergency", 0)
TEXT = '{{"properties": {{"correlation_id": "{}"}}, "headers": {{"id": "{}"}}}}'


@pytest.fixture
def queues(valkey: Client) -> Queues:
    """The queues of a site whose Redis is empty."""
    return Queues(valkey)


def put(client: Client, task_id: str, queue: str = SLOT) -> str:
    """Queue a message and return its text."""
    text = TEXT.format(task_id, task_id)
    client.lpush(queue, text)
    return text


def take(client: Client) -> Any:
    """Take the next message of the slot's emergency and control queue."""
    return client.eval(lua_script("take_message"), 2, HIGH, SLOT, "7.5")


def test_the_oldest_message_of_the_first_list_is_taken_and_marked(valkey: Client) -> None:
    first, _ = put(valkey, "a"), put(valkey, "b")
    urgent = put(valkey, "c", HIGH)
    for task_id in "ac":
        valkey.hset(keys.record(task_id), "status", '"queued"')
    assert take(valkey) == [HIGH, urgent]
    assert valkey.llen(keys.wake(SLOT)) == 1, "another worker learns that messages are left"
    assert take(valkey) == [SLOT, first]
    assert valkey.hget(keys.record("a"), "_taken") == "7.5"


def test_a_message_without_a_record_is_taken_and_marks_nothing(valkey: Client) -> None:
    text = put(valkey, "b")
    assert take(valkey) == [SLOT, text]
    assert not valkey.exists(keys.record("b"))


def test_nothing_is_taken_from_empty_lists(valkey: Client) -> None:
    assert take(valkey) is None


def test_messages_in_no_queue_are_missing(queues: Queues, valkey: Client) -> None:
    put(valkey, "queued")
    for task_id in ("queued", "taken"):
        valkey.hset(keys.record(task_id), "_taken", "7.5")
    valkey.script_flush()
    assert queues.missing_of({SLOT: ["queued", "taken", "removed"]}) == {"taken": 7.5, "removed": None}
    assert not valkey.hexists(keys.record("queued"), "_taken"), "kombu put it back"


def test_a_message_is_sent_again(queues: Queues, valkey: Client) -> None:
    valkey.hset(keys.record("a"), "_taken", "7.5")
    queues.send_again("a", SLOT, TEXT.format("a", "a"))
    assert [each.task_id for each in queues.waiting(SLOT)] == ["a"]
    assert valkey.hgetall(keys.record("a")) == {"_resent": "1"}
    assert valkey.zrange(keys.WAITING, 0, -1) == ["a"]
    assert valkey.llen(keys.wake(SLOT)) == 1


def test_a_message_moves_to_the_front_while_it_waits(queues: Queues, valkey: Client) -> None:
    put(valkey, "a")
    put(valkey, "b")
    _, last = queues.waiting(SLOT)
    assert queues.to_front(last)
    assert [each.task_id for each in queues.waiting(SLOT)] == ["b", "a"]
    assert queues.remove(last)
    assert not queues.to_front(last)
    assert [each.task_id for each in queues.waiting(SLOT)] == ["a"]


def test_the_slots_for_which_messages_wait_are_found_among_many(queues: Queues, valkey: Client) -> None:
    slots = [f"crate{crate}slot{slot}" for crate in (1, 2) for slot in range(2, 8)]
    put(valkey, "a", f"{slots[3]}.emergency")
    put(valkey, "b", slots[7])
    found = queues.waiting_of(slots)
    assert {slot: [each.task_id for each in waiting] for slot, waiting in found.items() if waiting} == {
        slots[3]: ["a"],
        slots[7]: ["b"],
    }
    assert list(found) == slots
