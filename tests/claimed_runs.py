"""Claimed runs for tests of the pool child: an application with settings of its own, and a run that it has claimed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from celery.app.task import Context

from smurfq.app import SmurfqApp
from smurfq.config import load
from smurfq.core.session import SessionHeader
from smurfq.core.slot import Lane
from smurfq.operation_process.process import Body
from smurfq.pool_child.claimed_run import ClaimedRun
from smurfq.pool_child.context import WorkerContext
from smurfq.store.fence import Running

SLOT = "crate1slot2"
MakeRun = Callable[..., ClaimedRun]


def application(folder: Path, **variables: str) -> SmurfqApp:
    """Return an application whose state is in a folder; it connects to Redis only when something is read there."""
    made = SmurfqApp("smurfq-test", set_as_current=False)
    environ = {"SMURFQ_STATE_DIR": str(folder), "SMURFQ_SLOTS": SLOT, "SMURFQ_WORKER_LOCK_WAIT_S": "0", **variables}
    made.__dict__["settings"] = load(environ)
    return made


@contextmanager
def workers() -> Iterator[Callable[..., WorkerContext]]:
    """Make contexts of workers, and close their descriptors at the end."""
    made: list[WorkerContext] = []

    def make(
        app: SmurfqApp, lane: Lane = "control", token: str = "a token", bodies: Mapping[str, Body] | None = None
    ) -> WorkerContext:
        made.append(WorkerContext(app, SLOT, lane, token, bodies or {}))
        return made[-1]

    yield make
    for worker in made:
        os.close(worker.stop_fd)


def claimed_run(
    worker: WorkerContext, app: SmurfqApp, op_name: str = "take_iv", task_id: str = "an-id", **request: Any
) -> ClaimedRun:
    """Return a run as ``claim_run`` makes it."""
    running = Running(task_id, op_name, SLOT, worker.publisher, "a-host", worker.token, 1000.0)
    context = Context({"id": task_id, "hostname": f"smurf@{SLOT}", "retries": 0, **request})
    return ClaimedRun(app, worker, context, running, SessionHeader(task_id, op_name=op_name, slot=SLOT), {})
