"""Checks whether Redis keeps data over a restart, a lack of memory and a failover."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from redis.exceptions import RedisError

from smurfq.core.redis_url import is_sentinel
from smurfq.store.connection import Client, connect
from smurfq.store.outage import best_effort

_MIN_REPLICAS = "min-replicas-to-write"
log = logging.getLogger("smurfq.store")


@dataclass(frozen=True)
class Danger:
    """A setting of Redis that may lose data, what it may lose, and what to do."""

    subject: str
    found: str
    todo: str


def persistence(info: Mapping[str, Any]) -> Danger | None:
    """Return the data that a restart would lose according to INFO, if any."""
    subject = "redis persistence"
    if not int(info.get("aof_enabled", 0)):
        return Danger(
            subject,
            "the append-only file is off: a restart of Redis loses the waiting operations",
            "set appendonly yes in its configuration (CONFIG SET appendonly yes, then CONFIG REWRITE)",
        )
    status = info.get("aof_last_write_status", "ok")
    if status != "ok":
        return Danger(subject, f"the last write of the append-only file failed: {status}", "check Redis's disk")
    return None


def eviction(info: Mapping[str, Any]) -> Danger | None:
    """Return the data that a lack of memory would lose according to INFO, if any."""
    policy = info.get("maxmemory_policy", "noeviction")
    if policy == "noeviction":
        return None
    return Danger(
        "redis memory",
        f"maxmemory-policy is {policy}: if memory runs out, Redis deletes queues and records",
        "set maxmemory-policy noeviction",
    )


def failover(info: Mapping[str, Any], min_replicas: int) -> Danger | None:
    """Return the data that a failover would lose according to INFO and ``min_replicas``, if any."""
    subject = "redis replicas"
    if int(info.get("connected_slaves", 0)) < 1:
        return Danger(subject, "no replica follows the primary: there is nothing to fail over to", "start a replica")
    if min_replicas < 1:
        return Danger(
            subject,
            "min-replicas-to-write is 0: a primary that is cut off from its replicas still accepts writes, "
            "which the failover then loses",
            "set min-replicas-to-write 1 and min-replicas-max-lag 5 on every server",
        )
    return None


def replicas_needed(client: Client) -> int:
    """Return the number of replicas that a primary needs to accept writes."""
    return int(client.config_get(_MIN_REPLICAS)[_MIN_REPLICAS] or 0)


def dangers(url: str) -> Iterator[Danger]:
    """Yield the dangers in the settings of the Redis at ``url``.

    Raises
    ------
    RedisError
        Redis does not answer, or does not allow smurfq's user to read its settings.
    """
    with connect(url) as client:
        info: dict[str, Any] = client.info()
        found = [persistence(info), eviction(info)]
        if is_sentinel(url):
            found.append(failover(info, replicas_needed(client)))
    yield from (danger for danger in found if danger is not None)


def warn_of_losses(url: str) -> None:
    """Log the dangers in the settings of the Redis at ``url``. If Redis does not answer, only log that."""
    with best_effort("cannot ask Redis for its settings", RedisError):
        for danger in dangers(url):
            log.warning("%s; %s", danger.found, danger.todo)
