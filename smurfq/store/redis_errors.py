"""Defines which errors say that Redis is away or takes no writes, and explains them in words."""

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
    """Redis takes no writes now: NOREPLICAS, too few follow it; MISCONF, it cannot write to disk.

    UNBLOCKED: it has become a replica while we waited for something to come.
    """


#: Redis takes no writes now, though it answers. This says nothing against the command.
REFUSES = (OutOfMemoryError, ReadOnlyError, MasterDownError, WritesRefusedError)
#: Redis does not answer, or takes no writes: the command may work later.
AWAY = (RedisConnectionError, RedisTimeoutError, BusyLoadingError, *REFUSES, StoreUnavailableError)

_UNNAMED = ("NOREPLICAS", "MISCONF", "UNBLOCKED")
_REFUSALS = ("OOM", "READONLY", *_UNNAMED)  # also within a script's error, where they are text only


def name_refusals() -> None:
    """Have redis-py raise ``WritesRefusedError`` where it has no class for an answer; for Celery's connections too."""
    for code in _UNNAMED:
        DefaultParser.EXCEPTION_CLASSES.setdefault(code, WritesRefusedError)


def takes_no_writes(error: BaseException) -> bool:
    """Return whether an error says nothing against the command: no memory, no disk, a replica, a missing right."""
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
        return f"Redis{at} does not allow our user all that is needed ({cause}); see its ACL rules"
    if isinstance(cause, ReadOnlyError):
        return (
            f"Redis{at} is a read-only replica and takes no writes; {where} must name the primary (or its "
            "sentinels), or this one must become it (REPLICAOF NO ONE)"
        )
    if isinstance(cause, OutOfMemoryError):
        return (
            f"Redis{at} is out of memory and takes no writes; what it has is safe, and all goes on once there "
            "is room: raise its maxmemory (CONFIG SET maxmemory …)"
        )
    if takes_no_writes(cause):
        return f"Redis{at} takes no writes now ({cause}); see its replicas, its disk and its log"
    if isinstance(cause, MasterNotFoundError):
        return f"the sentinels{at} know no primary that is alive ({cause}); {where} says where they are"
    hint = "; is that its TLS port?" if is_tls(url) else ""
    return f"Redis{at} does not answer ({cause}){hint}; `smurfq doctor` tells more, {where} says where it is"
