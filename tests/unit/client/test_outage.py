"""How a reader bears that Redis is away."""

from __future__ import annotations

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError

from smurfq.client.outage import Outage
from smurfq.errors import RecordNotFoundError


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def outage(pauses: list[float]) -> Outage:
    return Outage(pauses.append)


def fail(outage: Outage, error: Exception | None = None, left_s: float = float("inf")) -> None:
    with outage.borne(left_s):
        raise error or RedisConnectionError("refused")


def test_it_keeps_the_cause_until_redis_answers(outage: Outage) -> None:
    assert outage.cause is None
    for error in (RedisConnectionError("refused"), OutOfMemoryError("full")):
        fail(outage, error)
        assert outage.cause is error
    with outage.borne():
        pass
    assert outage.cause is None


def test_the_pauses_become_longer_and_start_anew_after_an_answer(outage: Outage, pauses: list[float]) -> None:
    for _ in range(7):
        fail(outage)
    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    with outage.borne():
        pass
    fail(outage)
    assert pauses[-1] == 0.05


def test_no_pause_is_longer_than_what_is_left(outage: Outage, pauses: list[float]) -> None:
    fail(outage, left_s=0.01)
    fail(outage, left_s=-1.0)
    assert pauses == [0.01, 0.0]


def test_what_is_no_outage_is_raised(outage: Outage, pauses: list[float]) -> None:
    with pytest.raises(RecordNotFoundError):
        fail(outage, RecordNotFoundError("no record"))
    assert outage.cause is None
    assert pauses == []
