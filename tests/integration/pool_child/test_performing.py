"""Once a second, the worker of a running operation looks for reasons to end it; with a real Valkey."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from smurfq.app import app
from smurfq.core.slot import Lane
from smurfq.pool_child.end_request import AbortRequest, EndRequest
from smurfq.pool_child.performing import job_of
from smurfq.pool_child.run_policy import RunPolicy
from smurfq.store.connection import Client
from smurfq.store.leashes import HEADER, Leashes
from tests.claimed_runs import SLOT, claimed_run, workers
from tests.site.producer import bind


class Worker:
    """Looks, once for each call of ``look``, as the worker of an operation does each second."""

    def __init__(self, make_worker: Any) -> None:
        self._make_worker = make_worker

    def look(self, lane: Lane = "control", **request: Any) -> list[EndRequest]:
        """Return the ends that the worker asks for."""
        run = claimed_run(self._make_worker(app, lane), app, **request)
        run.lock = os.open(os.devnull, os.O_RDONLY)
        asked: list[EndRequest] = []
        try:
            job_of(run, RunPolicy()).every_second(asked.append)
        finally:
            run.unlock()
        return asked


@pytest.fixture
def worker(valkey: Client, valkey_url: str, tmp_path: Path) -> Iterator[Worker]:
    """The worker of a site whose Redis is empty."""
    bind(
        {
            "SMURFQ_REDIS_URL": valkey_url,
            "SMURFQ_SLOTS": SLOT,
            "SMURFQ_STATE_DIR": str(tmp_path),
            "SMURFQ_LIMITS_EMERGENCY_GRACE_S": "0.5",
        }
    )
    with workers() as make_worker:
        yield Worker(make_worker)


def test_an_operation_goes_on_while_its_worker_has_the_lease(worker: Worker) -> None:
    assert worker.look() == []
    assert app.fence.lease_owner(SLOT) == "a token"


def test_an_operation_is_aborted_at_once_if_another_worker_has_taken_over(worker: Worker) -> None:
    assert app.fence.take_lease(SLOT, "its successor", 60.0)
    assert worker.look() == [AbortRequest("smurfq", f"another worker has taken over {SLOT}", grace_s=1.0)]


def test_an_emergency_operation_aborts_another_of_the_control_lane_only(worker: Worker) -> None:
    app.submit("all_off", slot=SLOT, emergency=True)
    assert worker.look() == [AbortRequest("smurfq", "an emergency operation waits", grace_s=0.5)]
    assert worker.look("state") == []


def test_an_operation_that_waits_in_the_usual_queue_aborts_nothing(worker: Worker) -> None:
    app.submit("all_off", slot=SLOT)
    assert worker.look() == []


def test_an_operation_on_a_leash_is_aborted_when_its_workflow_is_over(worker: Worker) -> None:
    leashes = Leashes(app.store)
    leashes.keep("a-workflow", "me")
    request: dict[str, Any] = {HEADER: "a-workflow"}
    assert worker.look(**request) == []
    leashes.end("a-workflow", "its workflow is over")
    assert worker.look(**request) == [AbortRequest("smurfq", "its workflow is over")]
