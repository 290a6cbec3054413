"""The bridge forgets no present run, however many there are, and a failed look-up does not change what it knows."""

from __future__ import annotations

import time
from dataclasses import asdict

import pytest
from redis.exceptions import ResponseError

from smurfq.bridge.attribution import ArrivedMessage, PublisherRuns, attribute
from smurfq.bridge.known_runs import RUNS_KEPT, KnownRuns
from smurfq.core import keys
from smurfq.core.jsonsafe import dumps
from smurfq.core.messages import Message
from smurfq.core.sequence import Sequences
from smurfq.store.connection import Client
from smurfq.store.fence import Fence, Running


def begin(client: Client, publisher: str, task_id: str) -> Running:
    running = Running(task_id, "run", publisher, publisher, "host", "lease", time.time())
    client.set(keys.running(publisher), dumps(asdict(running)))
    return running


def owners(known: PublisherRuns, publishers: list[str]) -> list[str]:
    """The runs that get one message of each publisher id."""
    now = time.time()
    batch = [
        ArrivedMessage(b"", now, Message("host", name, "a script", now, 0, "session_log", "hello"), name)
        for name in publishers
    ]
    return list(attribute(batch, known, Sequences(), now).runs)


def test_the_present_run_of_each_slot_is_known_though_there_are_more_than_are_kept(valkey: Client) -> None:
    publishers = [f"crate{crate}slot{slot}" for crate in range(1, 101) for slot in range(2, 8)]
    fence = Fence(valkey, 3600)
    for publisher in publishers:
        assert fence.finished(begin(valkey, publisher, f"before-{publisher}"))
        begin(valkey, publisher, f"run-{publisher}")
    assert len(publishers) > RUNS_KEPT
    known = KnownRuns(valkey).look_up(publishers)
    assert owners(known, publishers) == [f"run-{name}" for name in publishers]


def test_a_long_run_is_known_after_many_others(valkey: Client) -> None:
    runs = KnownRuns(valkey)
    begin(valkey, "crate1slot2", "long")
    runs.look_up(["crate1slot2"])
    for number in range(RUNS_KEPT - 1):
        begin(valkey, "crate1slot3", f"other-{number}")
        runs.look_up(["crate1slot3"])
    begin(valkey, "crate1slot3", "newest")
    assert owners(runs.look_up(["crate1slot2", "crate1slot3"]), ["crate1slot2"]) == ["long"]
    assert runs.state("other-0") is None


def test_nothing_is_known_before_redis_was_asked(valkey: Client) -> None:
    runs = KnownRuns(valkey)
    assert runs.known(["crate1slot2"]) is None
    runs.look_up(["crate1slot2"])
    known = runs.known(["crate1slot2"])
    assert known is not None
    assert known.expected == {keys.running("crate1slot2"): ""}
    assert runs.known(["crate1slot2", "crate1slot3"]) is None


def test_a_look_up_that_failed_changes_nothing_and_can_be_done_again(valkey: Client) -> None:
    slot = "crate1slot2"
    runs, fence = KnownRuns(valkey), Fence(valkey, 3600)
    before = begin(valkey, slot, "before")
    earlier = runs.look_up([slot])
    assert fence.finished(before)
    begin(valkey, slot, "present")
    ran = valkey.lrange(keys.recent_runs(slot), 0, -1)
    valkey.set(keys.recent_runs(slot), "not a list")  # the first round trip succeeds, the second fails
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        runs.look_up([slot])
    assert runs.known([slot]) == earlier
    assert runs.state("present") is None
    valkey.delete(keys.recent_runs(slot))
    valkey.rpush(keys.recent_runs(slot), *ran)
    known = runs.look_up([slot])
    assert known.running[slot].task_id == "present"
    assert [run.task_id for run in known.recent[slot]] == ["before"]
