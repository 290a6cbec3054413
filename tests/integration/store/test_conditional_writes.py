"""Each answer of the scripts of reservations, snapshots, ends and conditional writes, from a real Valkey."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from redis.exceptions import ResponseError

from smurfq.core import keys
from smurfq.core.session import SessionRecord
from smurfq.errors import SlotLockedError
from smurfq.store.conditional import Conditional
from smurfq.store.connection import Client
from smurfq.store.locks import Lock, Locks
from smurfq.store.records import Records
from smurfq.store.snapshot import Snapshots, meta_text

SLOT = "crate1slot2"


def test_a_lock_is_set_and_released_by_its_owner_or_by_force(valkey: Client) -> None:
    locks = Locks(valkey)
    anas, bens = Lock(SLOT, "ana"), Lock(SLOT, "ben", until=time.time() + 60)
    locks.put(anas)
    locks.put(replace(anas, note="cooling"))
    assert valkey.pttl(keys.lock(SLOT)) == -1
    with pytest.raises(SlotLockedError, match="ana"):
        locks.put(bens)
    with pytest.raises(SlotLockedError, match="ana"):
        locks.release(SLOT, "ben")
    assert locks.get(SLOT) == replace(anas, note="cooling")
    locks.put(bens, force=True)
    assert locks.get(SLOT) == bens
    assert 0 < int(valkey.pttl(keys.lock(SLOT))) <= 60_000
    assert locks.release(SLOT, "ana", force=True)
    assert not locks.release(SLOT, "ana")


def test_a_snapshot_replaces_neither_a_final_state_nor_a_newer_snapshot(valkey: Client) -> None:
    records = Records(valkey, 3600)
    snapshots = Snapshots(valkey, records)
    assert not snapshots.publish("a"), "there is no record"
    records.start(SessionRecord("a", op_name="take_iv", slot=SLOT))
    assert snapshots.publish("a")
    valkey.hset(keys.record("a"), "_shown", "1000")
    assert not snapshots.publish("a")
    valkey.hset(keys.record("a"), "_shown", "0")
    final = meta_text("a", "FAILURE", {"status": "PROGRESS"}, {})
    valkey.set(keys.meta("a"), final)
    assert not snapshots.publish("a")
    assert valkey.get(keys.meta("a")) == final


def test_the_end_of_a_run_is_written_once(valkey: Client) -> None:
    records = Records(valkey, 3600)
    records.start(SessionRecord("a", op_name="take_iv", slot=SLOT))
    valkey.zadd(keys.WAITING, {"a": 1.0})
    end = {"k": "header", "t": 2.0, "set": {"status": "done", "outcome": "succeeded"}}
    lost = {"k": "header", "t": 3.0, "set": {"status": "done", "outcome": "lost"}}
    assert records.end("a", "worker", end)
    assert not records.end("a", "reaper", lost)
    assert valkey.hget(keys.record("a"), "outcome") == '"succeeded"'
    assert valkey.hget(keys.LAST, SLOT) == "a"
    assert valkey.zcard(keys.WAITING) == 0


def test_commands_run_only_if_the_keys_are_as_expected(valkey: Client) -> None:
    write = Conditional(valkey)
    valkey.set("k", "old")
    pipe = valkey.pipeline()
    pipe.set("k", "new")
    pipe.set("l", "1")
    assert not write(pipe, {"k": "other"})
    assert valkey.get("k") == "old"
    pipe.set("k", "new")
    pipe.lpush("k", "not a list")
    pipe.set("l", "1")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        write(pipe, {"k": "old", "absent": ""})
    assert valkey.mget("k", "l") == ["new", "1"], "an error does not keep the other commands from running"
    pipe.set("l", "2")
    valkey.script_flush()
    assert write(pipe, {})
    assert valkey.get("l") == "2"
