"""Leashes, against a real Valkey and without workers."""

from __future__ import annotations

import pytest

from smurfq.client.connection import Connection
from smurfq.config import load
from smurfq.core import keys
from smurfq.errors import OperationAbortedError
from smurfq.pool_child.end_request import AbortRequest, EndRequest, StopRequest
from smurfq.pool_child.leash import Leash
from smurfq.store.connection import Client
from smurfq.store.leashes import PATIENCE_S, Leashes, LeashState
from smurfq.workflows.leash_renewal import LeashRenewal
from tests.site.eventually import eventually


class Clock:
    """A clock that goes only where it is told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds


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
    leashes = Leashes(valkey)
    asked: list[EndRequest] = []
    leash = Leash("w", leashes)
    leashes.keep("w", "me")
    leash.heed(asked.append, is_process=is_process, close_within_s=60.0)
    assert asked == []
    leashes.end("w", "its workflow is over")
    for _ in range(2):
        leash.heed(asked.append, is_process=is_process, close_within_s=60.0)
    why = "its workflow is over"
    stop, late_abort = StopRequest("smurfq", why), AbortRequest("smurfq", why, delay_s=60.0)
    assert asked == ([stop, late_abort] if is_process else [AbortRequest("smurfq", why)])


def test_a_missing_leash_is_borne_for_a_moment(valkey: Client) -> None:
    leashes, clock = Leashes(valkey), Clock()
    asked: list[EndRequest] = []
    leash = Leash("w", leashes, clock)

    def heed() -> None:
        leash.heed(asked.append, is_process=False, close_within_s=60.0)

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
    assert [type(request) for request in asked] == [AbortRequest]


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
