"""Claims a run in Redis, so that it runs here and nowhere else."""

from __future__ import annotations

import os
import socket
import time
from typing import Any

from celery import Task
from celery.exceptions import Ignore
from celery.utils.log import get_logger

from smurfq import operations
from smurfq.app import SmurfqApp
from smurfq.core.session import Outcome, SessionRecord
from smurfq.pool_child.claimed_run import ClaimedRun, process_ids
from smurfq.pool_child.context import WorkerContext
from smurfq.reaper import Reaper
from smurfq.store import patiently
from smurfq.store.fence import Claim, Running
from smurfq.store.snapshot import meta_text

logger = get_logger(__name__)


def claim_run(task: Task, worker: WorkerContext, params: dict[str, Any]) -> ClaimedRun:
    """The run of the task's current request, claimed; its record then says that it starts.

    Raises
    ------
    Ignore
        It has ended already, or runs elsewhere: this message is a copy.
    """
    app: SmurfqApp = task.app
    request = task.request
    running = Running(
        task_id=request.id,
        op_name=operations.operation(task.name).name,
        slot=worker.slot,
        publisher=worker.publisher,
        host=socket.gethostname(),
        lease=worker.token,
        started=time.time(),
        request=_kept_request(task),
        processes=process_ids(os.getpid()),
    )
    record = SessionRecord(
        session_id=request.id,
        op_name=running.op_name,
        slot=worker.slot,
        params=params,
        status="starting",
        simulated=app.settings.simulated,
        worker={"node": request.hostname, "host": running.host, "pid": os.getpid()},
        parent_id=request.parent_id,
        root_id=request.root_id,
    )
    _claim(app, worker, task, running, record)
    patiently(lambda: app.records.start(record))
    header = patiently(lambda: app.records.known_headers([request.id])).get(request.id, record)
    return ClaimedRun(app, worker, request, running, header, params)


def _claim(app: SmurfqApp, worker: WorkerContext, task: Task, running: Running, record: SessionRecord) -> None:
    task_id, who = running.task_id, f"{task.request.hostname} pid {os.getpid()}"
    started = meta_text(task_id, "STARTED", record.to_dict(), running.request)

    def claim() -> Claim:
        return app.fence.claim(running, task.name, task.request.retries, who, started)

    answer = patiently(claim)
    if answer.answer == "busy":  # the lease is ours, so what it names is over
        patiently(lambda: Reaper(app).reap(worker.publisher, by=worker.token))
        answer = patiently(claim)
    if answer.ok or (answer.answer == "claimed" and answer.detail == who):
        return  # in the second case the answer to our own claim was lost with the connection
    if answer.answer == "final":
        _end_unstarted(app, task_id, answer.detail)
    what = "left to the worker that took over" if answer.answer == "unleased" else "a copy, passed over"
    logger.warning("%s[%s]: %s: %s %s", task.name, task_id, what, answer.answer, answer.detail)
    raise Ignore  # the reaper sends a run again that nobody has claimed


def _end_unstarted(app: SmurfqApp, task_id: str, state: str) -> None:
    """End the record too, where Celery gave a task a final state before it started.

    Celery fails the body of a chord with a member of it; it may have been sent before.
    """
    known = patiently(lambda: app.records.known_headers([task_id])).get(task_id)
    if known is None or known.status != "queued" or state == "SUCCESS":
        return
    error = patiently(lambda: app.backend.get_result(task_id))
    outcome = Outcome.ABORTED if state == "REVOKED" else Outcome.FAILED
    cause = error if isinstance(error, BaseException) else None
    patiently(lambda: app.write_end(task_id, outcome, cause))


def _kept_request(task: Task) -> dict[str, Any]:
    """The task's request, as far as another process needs it to fail its chain, its chord and its errbacks."""
    request = task.request
    return {
        "id": request.id,
        "task": task.name,
        "name": task.name,
        "args": list(request.args or ()),
        "kwargs": dict(request.kwargs or {}),
        "hostname": request.hostname,
        "retries": request.retries,
        "queue": (request.delivery_info or {}).get("routing_key"),
        "root_id": request.root_id,
        "parent_id": request.parent_id,
        "group": request.group,
        "group_index": request.group_index,
        "chain": request.chain,
        "chord": request.chord,
        "errbacks": request.errbacks,
        "callbacks": request.callbacks,
        "delivery_info": request.delivery_info,
    }
