"""A run is claimed in a real Valkey: once, by the worker that has the lease, and only if it has not ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery.app.task import Context
from celery.exceptions import Ignore

from smurfq.app import app
from smurfq.core import keys
from smurfq.errors import OperationFailedError
from smurfq.pool_child.claimed_run import ClaimedRun
from smurfq.pool_child.claiming import claim_run
from smurfq.pool_child.context import WorkerContext
from smurfq.store.connection import Client
from smurfq.tasks import take_iv
from tests.claimed_runs import SLOT, workers
from tests.site.producer import bind

MakeWorker = Callable[..., WorkerContext]


@pytest.fixture
def make_worker(valkey: Client, valkey_url: str, tmp_path: Path) -> Iterator[MakeWorker]:
    """Make workers of a site whose Redis is empty, each with the lease of its lane unless ``leased`` is false."""
    bind({"SMURFQ_REDIS_URL": valkey_url, "SMURFQ_SLOTS": SLOT, "SMURFQ_STATE_DIR": str(tmp_path)})
    with workers() as make_context:

        def make(token: str = "a token", *, leased: bool = True) -> WorkerContext:
            worker = make_context(app, token=token)
            assert worker.renew_lease() is leased
            return worker

        yield make


def claim(worker: WorkerContext, task_id: str, node: str = f"smurf@{SLOT}", **request: Any) -> ClaimedRun:
    """Claim a task of `take_iv`, as its first hook does."""
    take_iv.push_request(id=task_id, hostname=node, retries=0, kwargs={"slot": SLOT}, **request)
    try:
        return claim_run(take_iv, worker, {"band": 3})
    finally:
        take_iv.pop_request()


def queued() -> str:
    """Submit a run, and return its id."""
    return str(app.submit("take_iv", slot=SLOT).id)


def test_a_claimed_run_is_noted_and_its_record_starts(make_worker: MakeWorker) -> None:
    run = claim(make_worker(), "claim-1", root_id="root")
    assert (run.task_id, run.operation.name, run.params) == ("claim-1", "take_iv", {"band": 3})
    assert (run.lock, run.orphans, run.leash) == (None, None, None)
    assert app.fence.running(SLOT) == run.running
    record = app.records.header("claim-1")
    assert (record.status, record.params, record.root_id) == ("starting", {"band": 3}, "root")
    assert record.worker["node"] == f"smurf@{SLOT}"
    assert app.AsyncResult("claim-1").state == "STARTED"
    run.finish()
    assert app.fence.running(SLOT) is None


def test_a_copy_is_ignored_and_ends_nothing(make_worker: MakeWorker) -> None:
    run = claim(make_worker(), "claim-2")
    run.finish()
    with pytest.raises(Ignore):
        claim(make_worker(), "claim-2", node="another worker")
    assert app.records.header("claim-2").status == "starting"


def test_a_claim_is_made_again_if_its_answer_was_lost(make_worker: MakeWorker) -> None:
    worker = make_worker()
    first = claim(worker, "claim-3")
    first.finish()  # the note of what runs is not what decides
    assert claim(worker, "claim-3").task_id == "claim-3"


def test_the_run_of_a_worker_that_died_is_ended_first(make_worker: MakeWorker) -> None:
    claim(make_worker("a token of a dead worker"), "claim-4")
    app.store.delete(keys.lease(SLOT))  # it has expired
    run = claim(make_worker("its successor"), "claim-5")
    assert app.fence.running(SLOT) == run.running
    assert app.records.read("claim-4").outcome == "lost"
    assert "claim-4" in (app.fence.take_needs_make_safe(SLOT) or "")


def test_a_worker_that_has_lost_its_lease_claims_nothing(make_worker: MakeWorker) -> None:
    make_worker("its successor")
    stale = make_worker("a token that has expired", leased=False)
    task_id = queued()
    with pytest.raises(Ignore):
        claim(stale, task_id)
    assert app.fence.running(SLOT) is None
    assert app.records.header(task_id).status == "queued"


def revoke(task_id: str) -> None:
    """Have Celery end a task as revoked."""
    app.backend.mark_as_revoked(task_id)


def fail(task_id: str) -> None:
    """Have Celery end a task as it ends the body of a chord."""
    app.backend.mark_as_failure(task_id, OperationFailedError("a member failed"))


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        (revoke, "aborted"),
        (fail, "failed"),
    ],
)
def test_the_record_of_a_task_that_ended_before_it_started_gets_the_same_end(
    make_worker: MakeWorker, end: Callable[[str], None], outcome: str
) -> None:
    worker = make_worker()
    task_id = queued()
    end(task_id)
    with pytest.raises(Ignore):
        claim(worker, task_id)
    assert app.records.read(task_id).outcome == outcome
    assert app.fence.running(SLOT) is None


def test_a_task_that_celery_calls_a_success_gets_no_other_end(make_worker: MakeWorker) -> None:
    """Its worker died between Celery's result and the record; the reaper completes it."""
    worker = make_worker()
    task_id = queued()
    app.backend.mark_as_done(task_id, {}, request=Context(id=task_id))
    with pytest.raises(Ignore):
        claim(worker, task_id)
    assert app.records.header(task_id).status == "queued"
