"""While Redis is away, ``RedisAway`` keeps the cause and pauses; the caller runs its block again."""

from __future__ import annotations

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError

from smurfq.errors import RecordNotFoundError
from smurfq.store.outage import RedisAway


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def away(pauses: list[float]) -> RedisAway:
    return RedisAway(pauses.append)


def fail(away: RedisAway, error: Exception | None = None, left_s: float = float("inf")) -> None:
    with away.tolerated(left_s):
        raise error or RedisConnectionError("refused")


def test_it_keeps_the_cause_until_redis_answers(away: RedisAway) -> None:
    assert away.cause is None
    for error in (RedisConnectionError("refused"), OutOfMemoryError("full")):
        fail(away, error)
        assert away.cause is error
    with away.tolerated():
        pass
    assert away.cause is None


def test_the_pauses_become_longer_and_start_anew_after_an_answer(away: RedisAway, pauses: list[float]) -> None:
    for _ in range(7):
        fail(away)
    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.5, 0.5, 0.5]
    with away.tolerated():
        pass
    fail(away)
    assert pauses[-1] == 0.05


def test_no_pause_is_longer_than_what_is_left(away: RedisAway, pauses: list[float]) -> None:
    fail(away, left_s=0.01)
    fail(away, left_s=-1.0)
    assert pauses == [0.01, 0.0]


def test_what_is_no_outage_is_raised(away: RedisAway, pauses: list[float]) -> None:
    with pytest.raises(RecordNotFoundError):
        fail(away, RecordNotFoundError("no record"))
    assert away.cause is None
    assert pauses == []
