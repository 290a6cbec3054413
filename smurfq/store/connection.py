"""Connecting to Redis, and waiting for it when it is away."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

import redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import BusyLoadingError, NoPermissionError, OutOfMemoryError, ReadOnlyError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from smurfq.errors import StoreUnavailableError

AWAY = (RedisConnectionError, RedisTimeoutError, BusyLoadingError, ReadOnlyError, StoreUnavailableError)
Client = redis.Redis
T = TypeVar("T")

_NOT_NOW = ("MISCONF", "NOREPLICAS", "CLUSTERDOWN")  # redis-py has no classes for these
_SOCKET_TIMEOUT_S = 10.0
_LONGEST_PAUSE_S = 1.0


def connect(url: str, *, retries: int = 2) -> Client:
    """A client of the Redis at ``url`` that answers text; it tries a lost connection again before it raises.

    ``retries`` of 0 is for writers that must know whether a write may have been done already.
    """
    return redis.Redis.from_url(
        url,
        decode_responses=True,
        socket_timeout=_SOCKET_TIMEOUT_S,
        socket_connect_timeout=5.0,
        socket_keepalive=True,
        health_check_interval=25,
        retry=Retry(ExponentialBackoff(base=0.05, cap=0.2), retries),
        retry_on_error=[RedisConnectionError],
    )


def takes_no_writes(error: ResponseError) -> bool:
    """Whether an error says nothing against the command: the disk or memory is full, or a right is missing."""
    return isinstance(error, OutOfMemoryError | NoPermissionError) or any(code in str(error) for code in _NOT_NOW)


def without_password(url: str) -> str:
    """``url`` fit to be shown: a password in it is ``***``."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username or ''}:***@{host}"))


def patiently(
    call: Callable[[], T],
    *,
    give_up_after_s: float | None = None,
    on_wait: Callable[[BaseException], None] | None = None,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> T:
    """What ``call`` returns, called again for as long as Redis is away or takes no writes.

    Raises
    ------
    StoreUnavailableError
        ``give_up_after_s`` seconds went by without an answer.
    """
    started, wait_s = clock(), 0.05
    while True:
        try:
            return call()
        except (*AWAY, ResponseError) as error:
            cause: Exception = error
            if isinstance(error, ResponseError) and not isinstance(error, AWAY):
                if not takes_no_writes(error):
                    raise
                cause = StoreUnavailableError(f"it takes no writes now: {error}")
            waited = clock() - started
            if give_up_after_s is not None and waited >= give_up_after_s:
                raise StoreUnavailableError(
                    f"Redis did not answer for {waited:.0f} s ({cause}); is it running? `smurfq doctor` tells more"
                ) from cause
            if on_wait is not None:
                on_wait(cause)
            pause(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_PAUSE_S)
