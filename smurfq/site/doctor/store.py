"""Checks that Redis or Valkey answers, is new enough, and is durable."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from redis.exceptions import RedisError

from smurfq.core.loopback import is_loopback
from smurfq.core.redis_url import is_sentinel, is_unix, without_password
from smurfq.host.disk_space import is_low, room
from smurfq.site.doctor import sentinels
from smurfq.site.doctor.finding import Examined, Finding, fail, ok, warn
from smurfq.store import connect, durability
from smurfq.store.connection import Client
from smurfq.store.redis_errors import explain, takes_no_writes
from smurfq.store.tls_failure import tls_failure

_OLDEST = (6, 2)
_CLOCKS_DIFFER_S = 1.0
_PROBE_EXPIRES_S = 10


def check(examined: Examined) -> Iterator[Finding]:
    """Check the Redis of the site."""
    url = examined.settings.redis_url
    shown = without_password(url)
    with connect(url) as client:
        try:
            info: dict[str, Any] = client.info()
        except (RedisError, OSError) as error:
            yield fail("redis", explain(url, error), _todo(examined, error))
            return
        examined.redis_answers = True
        yield _version(shown, info)
        yield _persistence(info)
        yield _policy(info)
        yield _writable(client, info)
        yield _clock(client)
        if is_sentinel(url):
            yield from sentinels.check(url, client, info)
        else:
            yield from _disk(client, url)
    if not is_sentinel(url):
        yield from _password(url)


def _todo(examined: Examined, error: Exception) -> str:
    if takes_no_writes(error):
        return "free some space on its disk, or repair it"
    if tls_failure(error) is not None:
        return "correct the setting in the message: Redis is running, but TLS to it fails"
    if examined.settings.redis.url is None:
        return "start the embedded Valkey with `smurfq up`, or set SMURFQ_REDIS_URL to a Redis of your own"
    return "start it, or correct SMURFQ_REDIS_URL (redis.url in the site file)"


def _version(shown: str, info: dict[str, Any]) -> Finding:
    text = str(info.get("redis_version", "0"))
    name = f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {text}"
    numbers = tuple(int(part) for part in text.split(".")[:2] if part.isdigit())
    if numbers < _OLDEST:
        return fail("redis", f"{shown} answers: {name}", "use Redis 6.2 or later, or any Valkey")
    return ok("redis", f"{shown} answers: {name}, up for {int(info.get('uptime_in_seconds', 0))} s")


def _persistence(info: dict[str, Any]) -> Finding:
    danger = durability.persistence(info)
    if danger is not None:
        return fail(danger.subject, danger.found, danger.todo)
    return ok("redis persistence", "the append-only file is on")


def _policy(info: dict[str, Any]) -> Finding:
    danger = durability.eviction(info)
    if danger is not None:
        return fail(danger.subject, danger.found, danger.todo)
    limit, used = int(info.get("maxmemory", 0)), int(info.get("used_memory", 0))
    if limit and used > 0.9 * limit:
        return warn(
            "redis memory",
            f"{used >> 20} of {limit >> 20} MB used; above the limit, writes are rejected",
            "raise maxmemory",
        )
    return ok("redis memory", f"maxmemory-policy noeviction, {used >> 20} MB used")


def _writable(client: Client, info: dict[str, Any]) -> Finding:
    if info.get("role") != "master":
        return fail("redis writes", f"this is a {info.get('role')}, not the primary", "set redis.url to the primary")
    key = f"smurfq:doctor:{uuid.uuid4().hex}"
    try:
        client.set(key, "1", ex=_PROBE_EXPIRES_S)
        client.delete(key)
    except RedisError as error:
        return fail("redis writes", f"it rejects writes: {error}", "check its log, disk and access rules")
    return ok("redis writes", "a key was written and deleted")


def _clock(client: Client) -> Finding:
    asked = time.time()
    seconds, microseconds = client.time()
    now = (asked + time.time()) / 2
    differs_s = int(seconds) + int(microseconds) / 1e6 - now
    if abs(differs_s) > _CLOCKS_DIFFER_S:
        return warn(
            "clock",
            f"Redis's clock is {abs(differs_s):.1f} s {'ahead of' if differs_s > 0 else 'behind'} this machine's: "
            "times in records will not agree",
            "set both clocks with NTP or PTP",
        )
    return ok("clock", f"this machine's and Redis's clock agree within {max(abs(differs_s), 0.001):.3f} s")


def _disk(client: Client, url: str) -> Iterator[Finding]:
    """Check Redis's folder for free space, if it is on this machine."""
    if not is_unix(url) and not is_loopback(urlsplit(url).hostname or ""):
        return
    try:
        folder = Path(str(client.config_get("dir")["dir"]))
    except (RedisError, KeyError):
        return
    if folder.is_dir() and is_low(folder):  # it may run in a container
        yield warn("redis disk", room(folder), "free some space: Redis rejects writes if the disk is full")


def _password(url: str) -> Iterator[Finding]:
    parts = urlsplit(url)
    if parts.password is None and not is_unix(url) and not is_loopback(parts.hostname or ""):
        yield warn(
            "redis access",
            f"{parts.hostname} needs no password: everybody who can reach it can drive the cards",
            "set requirepass or an ACL, and redis.url = 'redis://:PASSWORD@…' (rediss:// for TLS)",
        )
