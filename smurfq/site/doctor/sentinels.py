"""Checks that the sentinels of a site's Redis answer, agree on the primary, and are enough for a failover."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import redis
from redis.exceptions import RedisError, ResponseError

from smurfq.core.redis_url import SentinelUrl, parse_sentinel
from smurfq.site.doctor.finding import Finding, fail, ok, warn
from smurfq.store import durability
from smurfq.store.connection import Client, sentinel_options

_ENOUGH = 3


def check(url: str, client: Client, info: dict[str, Any]) -> Iterator[Finding]:
    """Check the sentinels that ``url`` names, and the data that a failover could lose."""
    address = parse_sentinel(url)
    states = {f"{host}:{port}": _ask(address, host, port) for host, port in address.sentinels}
    silent = {name: state for name, state in states.items() if isinstance(state, str)}
    told = {name: state for name, state in states.items() if isinstance(state, dict)}
    primaries = {f"{state['ip']}:{state['port']}" for state in told.values()}
    for name, why in silent.items():
        yield warn("sentinel", f"{name}: {why}", "start it, or correct its configuration or redis.url")
    if len(primaries) > 1:
        yield fail(
            "sentinels",
            f"they do not agree on the primary: {', '.join(sorted(primaries))}",
            "a failover is under way, or they are cut off from each other; check their logs",
        )
    elif told:
        state = next(iter(told.values()))
        known = 1 + int(state["num-other-sentinels"])
        text = (
            f"{len(told)} of {len(states)} agree: {address.master_name} is {primaries.pop()}; {known} know each other"
        )
        if known < _ENOUGH:
            yield warn("sentinels", text, f"run {_ENOUGH} or more; otherwise, no failover is possible if one is lost")
        else:
            yield ok("sentinels", f"{text}, {state['quorum']} decide")
    yield _failover(client, info)


def _ask(address: SentinelUrl, host: str, port: int) -> dict[str, Any] | str:
    """Return a sentinel's state of the primary, or the reason why it does not report one."""
    with redis.Redis(host=host, port=port, decode_responses=True, **sentinel_options(address)) as client:
        try:
            state: dict[str, Any] = client.sentinel_master(address.master_name)
        except ResponseError as error:
            return f"it does not know {address.master_name!r} ({error})"
        except (RedisError, OSError) as error:
            return f"it does not answer ({error})"
    return state


def _failover(client: Client, info: dict[str, Any]) -> Finding:
    needed = durability.replicas_needed(client)
    danger = durability.failover(info, needed)
    if danger is not None:
        return warn(danger.subject, danger.found, danger.todo)
    return ok("redis replicas", f"{info['connected_slaves']} follow the primary; a write needs {needed}")
