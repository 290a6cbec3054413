"""A standby worker takes over from a dead one, and from no other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from smurfq.app import app
from smurfq.pool_child.context import WorkerContext
from smurfq.store.connection import Client
from smurfq.worker_boot import _take_lease
from tests.site.eventually import eventually
from tests.site.producer import bind

SLOT = "crate1slot2"
TTL_S = 60.0


class StandBy(threading.Thread):
    """A worker that waits for the lease of the slot."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.told_to_stop: list[int] = []
        self.has_it = False
        self.looks = 0
        self._context = WorkerContext(app, SLOT, "control", "second", {})
        left_s = app.fence.lease_left_s

        def counted(queue: str) -> float:
            self.looks += 1
            return left_s(queue)

        app.fence.__dict__["lease_left_s"] = counted

    def run(self) -> None:
        """Stand by."""
        self.has_it = _take_lease(self._context, self.told_to_stop)

    def look(self) -> None:
        """Return once it has looked at least twice more."""
        before = self.looks
        eventually(lambda: self.looks >= before + 2 or not self.is_alive(), what="the worker looks")


@pytest.fixture
def first(valkey: Client, valkey_url: str, tmp_path: Path) -> WorkerContext:
    """The worker that has the lease."""
    bind({"SMURFQ_REDIS_URL": valkey_url, "SMURFQ_STATE_DIR": str(tmp_path), "SMURFQ_WORKER_LEASE_TTL_S": str(TTL_S)})
    context = WorkerContext(app, SLOT, "control", "first", {})
    assert context.renew_lease()
    return context


@pytest.fixture
def second(first: WorkerContext) -> Iterator[StandBy]:
    """A worker that stands by."""
    worker = StandBy()
    worker.start()
    worker.look()
    yield worker
    worker.told_to_stop.append(15)
    worker.join(30)
    app.fence.__dict__.pop("lease_left_s", None)


def test_an_emptied_redis_gives_no_lease_to_another_worker(
    first: WorkerContext, second: StandBy, valkey: Client
) -> None:
    for _ in range(3):
        valkey.flushall()
        second.look()
        assert app.fence.lease_owner(SLOT) is None
        assert first.renew_lease(), "its worker, which may drive the card, has it again"
        second.look()
    assert second.is_alive()


def test_a_lease_that_is_given_back_is_taken_long_before_it_would_expire(first: WorkerContext, second: StandBy) -> None:
    app.fence.release_lease(SLOT, first.token)
    eventually(lambda: second.has_it, TTL_S / 2, "the worker takes over")
    assert app.fence.lease_owner(SLOT) == "second"


def test_a_lease_that_expires_is_taken(first: WorkerContext, second: StandBy, valkey: Client) -> None:
    valkey.pexpire(f"smurfq:lease:{SLOT}", 1500)
    eventually(lambda: second.has_it, TTL_S / 2, "the worker takes over")
    assert not first.renew_lease()
