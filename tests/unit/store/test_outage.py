"""While Redis is away a call is repeated or left out, and the log has a line when it goes and one when it is back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ResponseError

from smurfq.errors import StoreUnavailableError
from smurfq.store import best_effort, patiently
from smurfq.store.outage import Outage


class Clock:
    """A clock that only a pause moves on."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    def pause(self, wait_s: float) -> None:
        self.pauses.append(wait_s)
        self.now += wait_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def failing(*errors: Exception) -> Callable[[], str]:
    """A call that raises each of ``errors`` in turn, and then answers."""
    left: Iterator[Exception] = iter(errors)

    def call() -> str:
        for error in left:
            raise error
        return "answer"

    return call


def gone() -> Exception:
    return RedisConnectionError("Connection refused")


def test_a_call_is_repeated_with_growing_pauses_until_redis_is_back(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    call = failing(*[gone() for _ in range(6)])
    assert patiently(call, pause=clock.pause, clock=clock) == "answer"
    assert clock.pauses == [0.05, 0.1, 0.2, 0.4, 0.5, 0.5]
    first, last = caplog.messages
    assert first.startswith("Redis is away: Redis does not answer (Connection refused); ")
    assert first.endswith("; waiting for it")
    assert last == "Redis is back after 1.8 s"


def test_a_call_that_answers_at_once_logs_nothing(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    assert patiently(failing(), pause=clock.pause, clock=clock) == "answer"
    assert caplog.messages == []


@pytest.mark.parametrize(
    "refusal",
    [
        OutOfMemoryError("OOM command not allowed"),
        ResponseError("script: 1234, on @user_script:3. READONLY You can't write against a read only replica."),
        StoreUnavailableError("it was away before"),
    ],
    ids=["memory", "within a script", "our own error"],
)
def test_a_redis_that_takes_no_writes_is_waited_for(refusal: Exception, clock: Clock) -> None:
    assert patiently(failing(refusal), pause=clock.pause, clock=clock) == "answer"
    assert len(clock.pauses) == 1


@pytest.mark.parametrize("error", [ResponseError("WRONGTYPE Operation"), ValueError("no")], ids=["Redis's", "another"])
def test_any_other_error_is_raised_at_once(error: Exception, clock: Clock) -> None:
    with pytest.raises(type(error)):
        patiently(failing(error), pause=clock.pause, clock=clock)
    assert clock.pauses == []


def test_a_wait_with_a_deadline_ends_at_it(clock: Clock) -> None:
    with pytest.raises(StoreUnavailableError, match="Redis did not answer for 2 s") as caught:
        patiently(failing(*[gone() for _ in range(100)]), give_up_after_s=2.0, pause=clock.pause, clock=clock)
    assert clock.now - 1000.0 <= 2.5
    assert isinstance(caught.value.__cause__, RedisConnectionError)


def test_a_pause_that_raises_ends_the_wait(clock: Clock) -> None:
    def stop(_wait_s: float) -> None:
        raise SystemExit(0)

    with pytest.raises(SystemExit):
        patiently(failing(gone()), pause=stop, clock=clock)


def test_a_shared_outage_is_logged_once_and_a_long_one_twice_a_minute(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    outage = Outage("redis://host:6379/0", "messages are kept", clock=clock)
    outage.back()
    for _ in range(60):
        outage.away(gone())
        outage.away(gone())
        clock.now += 1.0
    assert outage.is_away
    patiently(failing(), outage=outage, clock=clock)  # an answer to a read proves nothing about writes
    assert outage.is_away
    outage.back()
    assert not outage.is_away
    away, reminder, back = caplog.messages
    assert away.startswith("Redis is away: Redis at redis://host:6379/0 does not answer")
    assert reminder.startswith("Redis is still away: ")
    assert reminder.endswith("; messages are kept")
    assert back == "Redis is back after 60.0 s"


def test_what_cannot_be_done_now_is_left_out_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    done: list[Any] = []
    with best_effort("no snapshot", level=logging.WARNING):
        done.append("before")
        failing(gone())()
        done.append("after")
    assert done == ["before"]
    assert caplog.messages == ["no snapshot: Connection refused"]


def test_an_error_that_is_not_about_an_outage_is_left_out_only_if_it_is_named() -> None:
    with best_effort("no event", KeyError):
        raise KeyError("known")
    with pytest.raises(KeyError), best_effort("no event"):
        raise KeyError("unknown")
