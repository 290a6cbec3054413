"""Each answer of the fence's Lua scripts, from a real Valkey."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import pytest

from smurfq.core import keys
from smurfq.core.process_id import ProcessId
from smurfq.store.connection import Client
from smurfq.store.fence import Claim, Fence, Running
from smurfq.store.snapshot import meta_text

SLOT = "crate1slot2"
RUN = Running("run-1", "take_iv", SLOT, SLOT, "smurf-srv1", "token-1", 100.0, {"name": "take_iv"})
OTHER = replace(RUN, task_id="run-2")
STARTED = meta_text("run-1", "STARTED", None, {})


@pytest.fixture
def fence(valkey: Client) -> Fence:
    """The fence of a site whose Redis is empty."""
    return Fence(valkey, 3600)


def claim(fence: Fence, running: Running = RUN, who: str = "worker-1") -> Claim:
    """Claim the first attempt of a task."""
    return fence.claim(running, "take_iv", 0, who, STARTED)


def turned_around(text: str) -> str:
    """Return the same JSON object with its fields in the opposite order."""
    return json.dumps(dict(reversed(json.loads(text).items())))


def test_a_claim_records_the_run_and_removes_it_from_the_waiting(fence: Fence, valkey: Client) -> None:
    valkey.zadd(keys.WAITING, {"run-1": 1.0})
    valkey.hset(keys.record("run-1"), mapping={"_message": "{}", "_resent": "1", "_taken": "5"})
    assert claim(fence) == Claim("ok", "")
    assert fence.running_of([SLOT]) == {SLOT: RUN}
    assert valkey.zcard(keys.WAITING) == 0
    assert valkey.get(keys.meta("run-1")) == STARTED
    assert valkey.hgetall(keys.record("run-1")) == {"_request": '{"name":"take_iv"}'}


@pytest.mark.parametrize("state", ["SUCCESS", "FAILURE", "REVOKED"])
@pytest.mark.parametrize("order", [str, turned_around])
def test_a_task_that_has_ended_is_final(fence: Fence, valkey: Client, state: str, order: Any) -> None:
    result = {"status": "PENDING", "text": '"status": "STARTED" \\', "list": [{"status": "RETRY"}]}
    valkey.set(keys.meta("run-1"), order(meta_text("run-1", state, result, {})))
    valkey.zadd(keys.WAITING, {"run-1": 1.0})
    assert claim(fence) == Claim("final", state)
    assert valkey.zcard(keys.WAITING) == 0
    assert fence.running_of([SLOT]) == {}


def test_a_state_inside_the_result_does_not_end_a_task(fence: Fence, valkey: Client) -> None:
    meta = {"result": {"status": "SUCCESS", "value": float("nan")}, "status": "PROGRESS"}
    valkey.set(keys.meta("run-1"), json.dumps(meta))
    assert claim(fence).ok


@pytest.mark.parametrize("who", ["worker-1", "worker-2"])
def test_an_attempt_that_was_claimed_tells_by_whom(fence: Fence, valkey: Client, who: str) -> None:
    assert claim(fence).ok
    valkey.expire(keys.claim("run-1", "take_iv", 0), 100)
    assert claim(fence, who=who) == Claim("claimed", "worker-1")
    renewed = int(valkey.ttl(keys.claim("run-1", "take_iv", 0))) > 100
    assert renewed is (who == "worker-1"), "the claimant's own retry is a write, so that WAIT waits for it"


def test_a_claim_is_unleased_while_another_worker_has_the_lease(fence: Fence) -> None:
    assert fence.take_lease(SLOT, "token-2", 60)
    assert claim(fence) == Claim("unleased", "token-2")
    assert fence.running_of([SLOT]) == {}


def test_a_claim_is_busy_while_another_task_is_noted_as_running(fence: Fence, valkey: Client) -> None:
    assert claim(fence, OTHER).ok
    answer = claim(fence)
    assert (answer.answer, answer.detail) == ("busy", valkey.get(keys.running(SLOT)))
    assert not valkey.exists(keys.claim("run-1", "take_iv", 0))


def test_a_task_that_was_given_up_can_not_be_claimed(fence: Fence) -> None:
    assert fence.give_up("run-1", "take_iv")
    assert fence.give_up("run-1", "take_iv")
    assert claim(fence).answer == "claimed"
    assert claim(fence, OTHER).ok
    assert not fence.give_up("run-2", "take_iv")


@pytest.mark.parametrize("order", [str, turned_around])
def test_only_the_task_that_runs_changes_and_removes_its_note(fence: Fence, valkey: Client, order: Any) -> None:
    noted = replace(RUN, request={"task_id": "run-2", "args": ['{"task_id":"run-2"}']})
    valkey.set(keys.running(SLOT), order(json.dumps(asdict(noted))))
    with_processes = replace(RUN, processes=[ProcessId(1, "boot", 2)])
    assert not fence.note_processes(OTHER)
    assert not fence.finished(OTHER)
    assert fence.running_of([SLOT]) == {SLOT: noted}
    assert fence.note_processes(with_processes)
    assert fence.running_of([SLOT]) == {SLOT: with_processes}
    assert fence.finished(RUN)
    assert not fence.finished(RUN)
    assert not fence.note_processes(RUN), "nothing runs"
    (ran,) = valkey.lrange(keys.recent_runs(SLOT), 0, -1)
    assert json.loads(ran)["task_id"] == "run-1"


def test_recent_runs_are_bounded(fence: Fence, valkey: Client) -> None:
    for number in range(20):
        run = replace(RUN, task_id=f"run-{number}")
        assert claim(fence, run).ok
        assert fence.finished(run)
    newest, *_, oldest = valkey.lrange(keys.recent_runs(SLOT), 0, -1)
    assert [json.loads(text)["task_id"] for text in (newest, oldest)] == ["run-19", "run-4"]


def test_a_note_is_written_again_only_by_the_holder_of_the_lease(fence: Fence) -> None:
    assert not fence.note_again(RUN), "nobody has the lease"
    assert fence.take_lease(SLOT, "token-2", 60)
    assert not fence.note_again(RUN), "another worker has it"
    assert fence.take_lease(SLOT, "token-2", 60)
    assert fence.note_again(replace(RUN, lease="token-2"))
    assert not fence.note_again(replace(RUN, lease="token-2")), "the note is there"


def test_a_note_replaces_that_of_the_named_task_only(fence: Fence) -> None:
    assert fence.take_lease(SLOT, RUN.lease, 60)
    assert not fence.note_again(RUN, instead_of=OTHER), "nothing is noted"
    assert fence.note_again(OTHER)
    assert not fence.note_again(RUN, instead_of=replace(RUN, task_id="run-3"))
    assert fence.note_again(RUN, instead_of=OTHER)
    assert fence.running_of([SLOT]) == {SLOT: RUN}


def test_a_lease_is_taken_renewed_and_denied(fence: Fence) -> None:
    assert fence.take_lease(SLOT, "token-1", 10)
    assert fence.take_lease(SLOT, "token-1", 60)
    assert fence.lease_left_s(SLOT) > 10
    assert not fence.take_lease(SLOT, "token-2", 60)
    assert fence.lease_owner(SLOT) == "token-1"


def test_a_lease_is_released_by_its_holder_only(fence: Fence) -> None:
    assert fence.take_lease(SLOT, "token-1", 60)
    fence.release_lease(SLOT, "token-2")
    assert fence.lease_left_s(SLOT) > 1
    fence.release_lease(SLOT, "token-1")
    assert fence.lease_left_s(SLOT) <= 1
    fence.release_lease("crate1slot3", "token-1")
    assert fence.lease_owner("crate1slot3") is None


def test_the_scripts_work_after_redis_has_forgotten_them(fence: Fence, valkey: Client) -> None:
    assert fence.take_lease(SLOT, "token-1", 60)
    valkey.script_flush()
    assert fence.take_lease(SLOT, "token-1", 60)
    valkey.script_flush()
    assert claim(fence).ok
    valkey.script_flush()
    assert fence.finished(RUN)
