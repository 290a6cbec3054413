"""Defines the errors which mean that Redis is away or does not accept writes, and explains them in words."""

from __future__ import annotations

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
from redis.sentinel import MasterNotFoundError

from smurfq.core.redis_url import is_tls, without_password
from smurfq.errors import StoreUnavailableError
from smurfq.store.tls_failure import describe, tls_failure


class WritesRefusedError(ResponseError):
    """Redis does not accept writes now: NOREPLICAS (too few replicas) or MISCONF (it cannot write to its disk).

    UNBLOCKED means that Redis became a replica during a blocking read.
    """


#: Redis answers, but does not accept writes now. The command itself is valid.
REFUSES = (OutOfMemoryError, ReadOnlyError, MasterDownError, WritesRefusedError)
#: Redis does not answer, or does not accept writes: the command may succeed later.
AWAY = (RedisConnectionError, RedisTimeoutError, BusyLoadingError, *REFUSES, StoreUnavailableError)

_UNNAMED = ("NOREPLICAS", "MISCONF", "UNBLOCKED")
_REFUSALS = ("OOM", "READONLY", *_UNNAMED)  # a script's error contains these words only as text


def name_refusals() -> None:
    """Make redis-py raise ``WritesRefusedError`` for answers without a class of their own, also in Celery."""
    for code in _UNNAMED:
        DefaultParser.EXCEPTION_CLASSES.setdefault(code, WritesRefusedError)


def takes_no_writes(error: BaseException) -> bool:
    """Return whether Redis rejected a valid write: no memory, no disk, a replica, or a missing permission."""
    if isinstance(error, (*REFUSES, NoPermissionError)):
        return True
    return isinstance(error, ResponseError) and any(f"{code} " in str(error) for code in _REFUSALS)


def explain(url: str, cause: BaseException) -> str:
    """Return in words what is wrong with the Redis at ``url`` and what to do; an empty ``url`` is not shown."""
    at = f" at {without_password(url)}" if url else ""
    where = "SMURFQ_REDIS_URL or redis.url of the site file"
    if isinstance(cause, AuthenticationError):
        return f"Redis{at} rejected the user or password ({cause}); set them in {where}, as redis://user:password@host:port/0"
    if (failure := tls_failure(cause)) is not None:
        return f"Redis{at}: {describe(failure)}"
    if isinstance(cause, NoPermissionError):
        return f"Redis{at} does not give smurfq's user all permissions that it needs ({cause}); see its ACL rules"
    if isinstance(cause, ReadOnlyError):
        return (
            f"Redis{at} is a read-only replica and does not accept writes; {where} must name the primary (or its "
            "sentinels), or make this server the primary (REPLICAOF NO ONE)"
        )
    if isinstance(cause, OutOfMemoryError):
        return (
            f"Redis{at} is out of memory and does not accept writes; no data is lost, and smurfq continues when "
            "there is room: raise its maxmemory (CONFIG SET maxmemory …)"
        )
    if takes_no_writes(cause):
        return f"Redis{at} does not accept writes now ({cause}); check its replicas, its disk and its log"
    if isinstance(cause, MasterNotFoundError):
        return f"the sentinels{at} know no primary that is alive ({cause}); {where} gives their addresses"
    hint = "; is that its TLS port?" if is_tls(url) else ""
    return f"Redis{at} does not answer ({cause}){hint}; `smurfq doctor` checks it, {where} gives its address"
