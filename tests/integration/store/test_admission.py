"""Each answer of the admission's Lua script, from a real Valkey."""

from __future__ import annotations

import pytest

from smurfq.core import keys
from smurfq.core.session import SessionRecord
from smurfq.errors import DuplicateError, SlotLockedError
from smurfq.store.admission import Admission, Item, LockCheck, Unique
from smurfq.store.connection import Client
from smurfq.store.fence import Fence, Running
from smurfq.store.history import History
from smurfq.store.locks import Lock, Locks

SLOT = "crate1slot2"


@pytest.fixture
def admission(valkey: Client) -> Admission:
    """The admission of a site whose Redis is empty."""
    return Admission(valkey, Locks(valkey), 3600)


def item(task_id: str, unique: Unique = "", fingerprint: str = "iv") -> Item:
    """Return a submission of ``take_iv``."""
    record = SessionRecord(task_id, op_name="take_iv", slot=SLOT, submit_time=1e9)
    return Item(record, SLOT, f"text of {task_id}", {}, fingerprint, SLOT, unique)


def run(client: Client, task_id: str) -> None:
    """Claim a task that waits, as a worker does."""
    running = Running(task_id, "take_iv", SLOT, SLOT, "smurf-srv1", "token-1", 100.0)
    assert Fence(client, 3600).claim(running, "take_iv", 0, "worker-1", "{}").ok


def assert_only(client: Client, *task_ids: str) -> None:
    """Assert that these tasks, and no others, are recorded and queued."""
    assert client.zrange(keys.WAITING, 0, -1) == list(task_ids)
    assert client.lrange(SLOT, 0, -1) == [f"text of {each}" for each in reversed(task_ids)]
    assert sorted(client.keys("smurfq:record:*")) == sorted(map(keys.record, task_ids))


def test_all_items_are_recorded_queued_and_indexed(admission: Admission, valkey: Client) -> None:
    admission.admit([item("a"), item("b")], [LockCheck(SLOT, "ana")], "nonce")
    assert_only(valkey, "a", "b")
    assert valkey.hget(keys.record("a"), "op_name") == '"take_iv"'
    assert valkey.hget(keys.record("b"), "_message") == "{}"
    assert History(valkey, 3600).newest(SLOT, "take_iv") == "b"
    assert valkey.smembers(keys.duplicates(SLOT, "iv")) == {"a", "b"}
    assert valkey.llen(keys.wake(SLOT)) == 1


def test_the_same_attempt_is_admitted_once(admission: Admission, valkey: Client) -> None:
    admission.admit([item("a")], [], "nonce")
    admission.admit([item("a")], [], "nonce")
    assert_only(valkey, "a")


def test_a_known_id_is_rejected_with_all_items(admission: Admission, valkey: Client) -> None:
    admission.admit([item("a")], [], "first")
    with pytest.raises(DuplicateError) as caught:
        admission.admit([item("b"), item("a")], [], "second")
    assert (caught.value.state, caught.value.index, caught.value.session_id) == ("known", 1, "a")
    assert_only(valkey, "a")


@pytest.mark.parametrize("unique", ["waiting", "running"])
def test_a_duplicate_of_a_waiting_task_is_rejected(admission: Admission, valkey: Client, unique: Unique) -> None:
    admission.admit([item("a")], [], "first")
    with pytest.raises(DuplicateError) as caught:
        admission.admit([item("c", fingerprint="other"), item("b", unique)], [], "second")
    assert (caught.value.state, caught.value.index, caught.value.session_id) == ("waiting", 1, "a")
    assert_only(valkey, "a")


def test_a_duplicate_of_a_running_task_is_rejected_if_it_must_not_run(admission: Admission, valkey: Client) -> None:
    admission.admit([item("a")], [], "first")
    run(valkey, "a")
    with pytest.raises(DuplicateError) as caught:
        admission.admit([item("b", "running")], [], "second")
    assert (caught.value.state, caught.value.session_id) == ("running", "a")
    admission.admit([item("b", "waiting")], [], "third")
    assert valkey.smembers(keys.duplicates(SLOT, "iv")) == {"a", "b"}


def test_a_task_that_ended_is_no_duplicate_and_is_forgotten(admission: Admission, valkey: Client) -> None:
    admission.admit([item("a")], [], "first")
    run(valkey, "a")
    valkey.set(keys.running(SLOT), '{"request":{"task_id":"a"},"task_id":"other"}')
    admission.admit([item("b", "running")], [], "second")
    assert valkey.smembers(keys.duplicates(SLOT, "iv")) == {"b"}


def test_only_the_owner_of_a_lock_is_admitted(admission: Admission, valkey: Client) -> None:
    lock = Lock(SLOT, "ana", since=100.0)
    Locks(valkey).put(lock)
    with pytest.raises(SlotLockedError) as caught:
        admission.admit([item("a")], [LockCheck("crate1slot3", "ben"), LockCheck(SLOT, "ben")], "first")
    assert (caught.value.owner, caught.value.got) == ("ana", "ben")
    assert_only(valkey)
    admission.admit([item("a")], [LockCheck(SLOT, "ana")], "second")
    admission.admit([item("b")], [LockCheck(SLOT, "ben", accepted=99.0)], "third")
    assert_only(valkey, "a", "b")
    with pytest.raises(SlotLockedError):
        admission.admit([item("c")], [LockCheck(SLOT, "ben", accepted=100.0)], "fourth")
