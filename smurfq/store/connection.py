"""Connecting to Redis, and waiting for it when it is away."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

import redis
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.connection import DefaultParser
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError, Sentinel, SentinelConnectionPool

from smurfq.core import keys
from smurfq.core.redis_url import SentinelUrl, is_sentinel, is_tls, is_unix, parse_sentinel, without_password
from smurfq.errors import StoreUnavailableError
from smurfq.store.outermost_retry import OutermostRetry
from smurfq.store.primary import PrimaryConnection
from smurfq.store.tls_failure import describe, tls_failure

__all__ = ["AWAY", "Client", "connect", "explain", "patiently", "require_access", "require_writes", "without_password"]


class WritesRefusedError(ResponseError):
    """Redis takes no writes now: NOREPLICAS, too few follow it; MISCONF, it cannot write to disk.

    UNBLOCKED: it has become a replica while we waited for something to come.
    """


#: It takes no writes now, though it answers; says nothing against the command.
REFUSES = (OutOfMemoryError, ReadOnlyError, MasterDownError, WritesRefusedError)
AWAY = (RedisConnectionError, RedisTimeoutError, BusyLoadingError, *REFUSES, StoreUnavailableError)
Client = redis.Redis
T = TypeVar("T")

SOCKET_TIMEOUT_S: Final = 10.0
CONNECT_TIMEOUT_S: Final = 5.0
_SENTINEL_TIMEOUT_S = 1.0
_LONGEST_PAUSE_S = 1.0
_SAY_EVERY_S = 30.0
_UNNAMED = ("NOREPLICAS", "MISCONF", "UNBLOCKED")
_REFUSALS = ("OOM", "READONLY", *_UNNAMED)  # also within a script's error, where they are text only
log = logging.getLogger("smurfq.store")


def connect(url: str, *, retries: int = 2) -> Client:
    """A client of the Redis at ``url`` that answers text; it tries a lost connection again before it raises.

    ``retries`` of 0 is for writers that must know whether a write may have been done already. With a ``sentinel://``
    URL each connection goes to the server that is the primary then, and leaves it once another one is.
    """
    name_refusals()
    options: dict[str, Any] = {
        "decode_responses": True,
        "encoding_errors": "surrogateescape",  # what lies in a queue may be no text
        "socket_timeout": SOCKET_TIMEOUT_S,
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "socket_keepalive": True,
        "health_check_interval": 25,
        "retry": OutermostRetry(ExponentialBackoff(base=0.05, cap=0.2), retries),
    }
    if is_unix(url):
        del options["socket_keepalive"]
    if is_tls(url):
        options |= {"ssl_cert_reqs": "required", "ssl_check_hostname": True}
    if not is_sentinel(url):
        return redis.Redis.from_url(url, retry_on_error=[RedisConnectionError], **options)
    address = parse_sentinel(url)
    sentinel = Sentinel(list(address.sentinels), sentinel_kwargs=sentinel_options(address))  # type: ignore[no-untyped-call]
    client: Client = sentinel.master_for(  # type: ignore[no-untyped-call]
        address.master_name,
        db=address.db,
        username=address.username,
        password=address.password,
        connection_class=PrimaryConnection,
        retry_on_error=[RedisConnectionError],
        **options,
    )
    return client


def sentinel_options(address: SentinelUrl) -> dict[str, Any]:
    """How to connect to the sentinels: one that is away must not be waited for while another knows the primary."""
    options: dict[str, Any] = {
        "socket_timeout": _SENTINEL_TIMEOUT_S,
        "socket_connect_timeout": _SENTINEL_TIMEOUT_S,
        "retry": Retry(NoBackoff(), 0),
    }
    if address.sentinel_password:
        options["password"] = address.sentinel_password
    return options


def replicas_to_wait_for(client: Client) -> int:
    """How many replicas must know of a claim or a lease: one where sentinels may make a replica the primary."""
    return int(isinstance(client.connection_pool, SentinelConnectionPool))


def name_refusals() -> None:
    """Have redis-py raise ``WritesRefusedError`` where it has no class for an answer; for Celery's connections too."""
    for code in _UNNAMED:
        DefaultParser.EXCEPTION_CLASSES.setdefault(code, WritesRefusedError)


def takes_no_writes(error: BaseException) -> bool:
    """Whether an error says nothing against the command: no room in memory or on disk, a replica, a missing right."""
    if isinstance(error, (*REFUSES, NoPermissionError)):
        return True
    return isinstance(error, ResponseError) and any(f"{code} " in str(error) for code in _REFUSALS)


def explain(url: str, cause: BaseException) -> str:
    """What is wrong with the Redis at ``url``, and what to do, in words for a person."""
    shown = without_password(url) or "its address"
    where = "SMURFQ_REDIS_URL or redis.url of the site file"
    if isinstance(cause, AuthenticationError):
        return (
            f"Redis at {shown} rejected the user or password ({cause}); set them in {where}, as "
            "redis://user:password@host:port/0"
        )
    if (failure := tls_failure(cause)) is not None:
        return f"Redis at {shown}: {describe(failure)}"
    if isinstance(cause, NoPermissionError):
        return f"Redis at {shown} does not allow our user all that is needed ({cause}); see its ACL rules"
    if isinstance(cause, ReadOnlyError):
        return (
            f"Redis at {shown} is a read-only replica and takes no writes; {where} must name the primary (or its "
            "sentinels), or this one must become it (REPLICAOF NO ONE)"
        )
    if isinstance(cause, OutOfMemoryError):
        return (
            f"Redis at {shown} is out of memory and takes no writes; what it has is safe, and all goes on once there "
            "is room: raise its maxmemory (CONFIG SET maxmemory …)"
        )
    if takes_no_writes(cause):
        return f"Redis at {shown} takes no writes now ({cause}); see its replicas, its disk and its log"
    if isinstance(cause, MasterNotFoundError):
        return f"the sentinels at {shown} know no primary that is alive ({cause}); {where} says where they are"
    hint = "; is that its TLS port?" if is_tls(url) else ""
    return f"Redis at {shown} does not answer ({cause}){hint}; `smurfq doctor` tells more, {where} says where it is"


def require_access(url: str) -> None:
    """Nothing, if the Redis at ``url`` lets us in, or is not there yet.

    Raises
    ------
    StoreUnavailableError
        It rejects our user or password, or TLS with it fails: waiting would not help.
    """
    with connect(url, retries=0) as client:
        try:
            client.ping()
        except (AuthenticationError, NoPermissionError) as cause:
            raise StoreUnavailableError(explain(url, cause), url=without_password(url)) from cause
        except AWAY as cause:
            if tls_failure(cause) is not None:
                raise StoreUnavailableError(explain(url, cause), url=without_password(url)) from cause


def require_writes(client: Client) -> None:
    """Nothing, if Redis takes writes now; one of ``AWAY`` is raised if not."""
    client.setrange(keys.WRITE_PROBE, 0, "")  # leaves no key, and is refused as any other write is


def patiently(
    call: Callable[[], T],
    *,
    give_up_after_s: float | None = None,
    on_wait: Callable[[BaseException], None] | None = None,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> T:
    """What ``call`` returns, called again for as long as Redis is away or takes no writes.

    ``on_wait`` is told each time why; without it, the log is, twice a minute.

    Raises
    ------
    StoreUnavailableError
        ``give_up_after_s`` seconds went by without an answer.
    """
    started, wait_s = clock(), 0.05
    say = on_wait or OutageLogger(clock)
    while True:
        try:
            return call()
        except (*AWAY, ResponseError) as error:
            if not isinstance(error, AWAY) and not takes_no_writes(error):
                raise
            waited = clock() - started
            if give_up_after_s is not None and waited >= give_up_after_s:
                raise StoreUnavailableError(
                    f"Redis did not answer for {waited:.0f} s ({error}); is it running? `smurfq doctor` tells more"
                ) from error
            say(error)
            pause(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_PAUSE_S)


class OutageLogger:
    """Says in the log what is waited for, and not too often."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next = clock()

    def __call__(self, cause: BaseException) -> None:
        """Say so, if it is time to."""
        if self._clock() >= self._next:
            self._next = self._clock() + _SAY_EVERY_S
            what = "takes no writes" if takes_no_writes(cause) else "is away"
            log.warning("Redis %s (%s); waiting for it", what, cause)
