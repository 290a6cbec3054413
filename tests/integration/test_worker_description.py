"""A worker's description in Redis is complete or absent, whatever Redis does."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from smurfq.app import app
from smurfq.core import keys
from smurfq.pool_child.context import WorkerContext
from smurfq.site.doctor import workers
from smurfq.site.doctor.finding import Examined
from smurfq.store.connection import Client
from smurfq.store.fence import Fence
from tests.site.eventually import eventually
from tests.site.process_group import pause
from tests.site.producer import bind
from tests.site.valkey import Valkey

SLOT = "crate1slot2"
ABOUT = {"host": "smurf-srv", "pid": 12, "node": "control@crate1slot2"}


@pytest.fixture
def context(tmp_path: Path) -> Iterator[WorkerContext]:
    """A worker's context on a Valkey of its own; its client waits one second for an answer."""
    server = Valkey(tmp_path / "valkey")
    bind({"SMURFQ_REDIS_URL": server.url, "SMURFQ_STATE_DIR": str(tmp_path / "state")})
    app.site_store.__dict__["redis"] = redis.Redis.from_url(
        app.settings.redis_url, decode_responses=True, socket_timeout=1.0, retry=Retry(NoBackoff(), 1)
    )
    made = WorkerContext(app, SLOT, "control", "token", {})
    made.about = dict(ABOUT)
    try:
        yield made
    finally:
        app.store.close()
        server.stop()


def description(client: Client) -> dict[str, str]:
    found: dict[str, str] = client.hgetall(keys.worker(SLOT))  # type: ignore[assignment]
    return found


def test_a_stall_of_redis_leaves_no_part_of_a_description(context: WorkerContext) -> None:
    context.say_alive()
    whole = description(app.store)
    pid = int(app.store.info("server")["process_id"])
    pause(pid)
    try:
        expired = time.monotonic() + 5.5  # a description lives for 5 s
        while time.monotonic() < expired:
            with pytest.raises(RedisTimeoutError):
                context.say_alive()
    finally:
        os.kill(pid, signal.SIGCONT)
    eventually(app.store.ping)
    assert description(app.store) in ({}, whole)
    context.say_alive()
    assert description(app.store) == whole
    assert app.store.ttl(keys.worker(SLOT)) > 0


def test_a_part_of_a_description_is_completed(context: WorkerContext) -> None:
    context.say_alive()
    whole = description(app.store)
    app.store.delete(keys.worker(SLOT))
    app.store.hset(keys.worker(SLOT), "held", "false")
    context.say_alive()
    assert description(app.store) == whole
    assert app.store.ttl(keys.worker(SLOT)) > 0


@pytest.mark.parametrize("part", [{}, {"held": "false"}, {"host": '"smurf-srv"'}])
def test_doctor_warns_of_a_worker_whose_description_is_not_whole(context: WorkerContext, part: dict[Any, Any]) -> None:
    for queue in (SLOT, f"{SLOT}.state"):
        Fence(app.store, 100).take_lease(queue, "token", 60)
    if part:
        app.store.hset(keys.worker(SLOT), mapping=part)
    examined = Examined(app.settings, {}, redis_answers=True)
    found = {finding.name: finding for finding in workers.check(examined)}
    assert found[f"worker {SLOT}"].level == "warn"
    assert "has not reported" in found[f"worker {SLOT}"].found


def test_doctor_names_the_host_of_a_worker(context: WorkerContext) -> None:
    for queue in (SLOT, f"{SLOT}.state"):
        Fence(app.store, 100).take_lease(queue, "token", 60)
    context.say_alive()
    found = {finding.name: finding for finding in workers.check(Examined(app.settings, {}, redis_answers=True))}
    assert found[f"worker {SLOT}"].level == "ok"
    assert found[f"worker {SLOT}"].found == "alive on smurf-srv, process 12"
