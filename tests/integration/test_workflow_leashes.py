"""Leashes, and waiting for several runs, with a real Valkey and without workers."""

from __future__ import annotations

import time
from typing import Any

import pytest

from smurfq.client.connection import Connection
from smurfq.config import load
from smurfq.core import keys
from smurfq.core.session import Outcome, SessionRecord
from smurfq.errors import OperationAbortedError
from smurfq.pool_child.leash import Leash
from smurfq.store.connection import Client
from smurfq.store.leashes import PATIENCE_S, Leashes, LeashState
from smurfq.workflows.leash_renewal import LeashRenewal
from smurfq.workflows.run_group import Runs
from tests.integration.live import WITHIN_S, eventually
from tests.integration.records import Writer


class Clock:
    """A clock that goes only where it is told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds


class Asked(list[tuple[str, str, float]]):
    """What a supervisor was asked."""

    def ask_stop(self, *, by: str, reason: str) -> None:
        self.append(("stop", reason, 0.0))

    def ask_abort(self, *, by: str, reason: str, delay_s: float) -> None:
        self.append(("abort", reason, delay_s))


@pytest.fixture
def at(valkey: Client, valkey_url: str) -> Connection:
    return Connection(load({"SMURFQ_REDIS_URL": valkey_url, "SMURFQ_SLOTS": "crate1slot2 crate1slot3"}))


def test_a_leash_is_kept_for_a_while_over_or_missing(valkey: Client) -> None:
    leashes = Leashes(valkey)
    assert leashes.look("w")[0] is LeashState.MISSING
    leashes.keep("w", "me@here")
    assert leashes.look("w") == (LeashState.KEPT, "me@here")
    assert 0 < valkey.pttl(keys.leash("w")) <= 15_000
    leashes.end("w", "enough")
    assert leashes.look("w") == (LeashState.OVER, "enough")


def test_a_keeper_keeps_it_and_lets_go(valkey: Client, at: Connection) -> None:
    leashes, keeper = Leashes(valkey), LeashRenewal(at, "w")
    keeper.end("never begun")
    assert leashes.look("w")[0] is LeashState.MISSING
    keeper.start()
    assert leashes.look("w")[0] is LeashState.KEPT
    valkey.flushall()  # as if Redis had been away for longer than the key lives
    eventually(lambda: leashes.look("w")[0] is LeashState.KEPT, what="kept again")
    keeper.end("enough")
    assert leashes.look("w") == (LeashState.OVER, "enough")


@pytest.mark.parametrize("is_process", [True, False])
def test_a_running_operation_is_ended_once_when_its_leash_expires(valkey: Client, is_process: bool) -> None:
    leashes, asked = Leashes(valkey), Asked()
    leash = Leash("w", leashes)
    supervisor: Any = asked
    leashes.keep("w", "me")
    leash.heed(supervisor, is_process=is_process, close_within_s=60.0)
    assert asked == []
    leashes.end("w", "its workflow is over")
    for _ in range(2):
        leash.heed(supervisor, is_process=is_process, close_within_s=60.0)
    why = "its workflow is over"
    assert asked == ([("stop", why, 0.0), ("abort", why, 60.0)] if is_process else [("abort", why, 0.0)])


def test_a_missing_leash_is_borne_for_a_moment(valkey: Client) -> None:
    leashes, asked, clock = Leashes(valkey), Asked(), Clock()
    leash = Leash("w", leashes, clock)
    supervisor: Any = asked

    def heed() -> None:
        leash.heed(supervisor, is_process=False, close_within_s=60.0)

    heed()
    clock.now += 0.9 * PATIENCE_S
    heed()
    leashes.keep("w", "back")
    heed()
    valkey.flushall()
    clock.now += 0.9 * PATIENCE_S
    heed()
    assert asked == []
    clock.now += PATIENCE_S
    heed()
    assert [(verb, delay_s) for verb, _, delay_s in asked] == [("abort", 0.0)]


def test_a_waiting_operation_starts_only_if_its_leash_is_alive(valkey: Client) -> None:
    leashes, clock = Leashes(valkey), Clock()
    leashes.keep("w", "me")
    Leash("w", leashes, clock).require("take_iv on crate1slot2", clock.pause)
    assert clock.now == 0.0
    leashes.end("w", "its workflow is over")
    with pytest.raises(OperationAbortedError, match="take_iv on crate1slot2 was not started: its workflow is over"):
        Leash("w", leashes, clock).require("take_iv on crate1slot2", clock.pause)
    assert clock.now == 0.0
    with pytest.raises(OperationAbortedError, match="is gone"):
        Leash("never", leashes, clock).require("take_iv on crate1slot2", clock.pause)
    assert clock.now >= PATIENCE_S

    def back(seconds: float) -> None:
        clock.pause(seconds)
        leashes.keep("late", "me")

    Leash("late", leashes, clock).require("take_iv on crate1slot2", back)


def queued(at: Connection, run_id: str, slot: str) -> Writer:
    at.records.start(SessionRecord(session_id=run_id, op_name="stream", slot=slot))
    return Writer(at, run_id)


def test_runs_are_waited_for_together_until_each_is_far_enough(at: Connection) -> None:
    runs = Runs(at)
    writers = {slot: queued(at, f"run-{slot}", slot) for slot in ("crate1slot2", "crate1slot3")}
    for slot in writers:
        runs.add(slot, f"run-{slot}")

    def is_on(slot: str) -> bool:
        return bool(runs.values[slot].get("stream_on"))

    looks = iter(range(1000))

    def check() -> None:
        if next(looks) == 1:
            writers["crate1slot2"].write({"k": "data", "t": 1.0, "set": {"stream_on": True}})

    late = runs.wait(["crate1slot2"], is_on, until=time.monotonic() + WITHIN_S, check=check, watched=("stream_on",))
    assert late == set()
    assert next(looks) > 1
    late = runs.wait(writers, is_on, until=time.monotonic(), check=check, watched=("stream_on",))
    assert late == {"crate1slot3"}
    writers["crate1slot3"].write({"k": "data", "t": 1.0, "set": {"stream_on": True}})
    late = runs.wait(writers, is_on, until=time.monotonic() + WITHIN_S, check=check, watched=("stream_on",))
    assert late == set()


def test_a_run_that_only_celery_ended_is_over_too(valkey: Client, at: Connection) -> None:
    runs = Runs(at)
    queued(at, "run-a", "crate1slot2")
    runs.add("crate1slot2", "run-a")
    valkey.set(keys.meta("run-a"), '{"status": "REVOKED", "result": null, "date_done": null}')
    late = runs.wait(
        ["crate1slot2"], lambda slot: runs.records[slot].done, until=time.monotonic() + WITHIN_S, check=lambda: None
    )
    assert late == set()
    assert runs.records["crate1slot2"].outcome == Outcome.ABORTED


def test_a_requested_end_ends_the_wait(at: Connection) -> None:
    runs = Runs(at)
    queued(at, "run-a", "crate1slot2")
    runs.add("crate1slot2", "run-a")

    def check() -> None:
        raise OperationAbortedError("asked for")

    with pytest.raises(OperationAbortedError, match="asked for"):
        runs.wait(["crate1slot2"], lambda slot: False, until=time.monotonic() + WITHIN_S, check=check)
