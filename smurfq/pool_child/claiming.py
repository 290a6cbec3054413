"""Claims a run in Redis, so that it runs here and nowhere else."""

from __future__ import annotations

import os
import socket
import time
from typing import Any

from celery import Task
from celery.app.task import Context
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
    """Claim the run of the task's current request, and write into its record that it starts.

    Raises
    ------
    Ignore
        The run has ended or is running elsewhere: this message is a copy.
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
        request=kept_request(task.name, request),
        processes=process_ids(os.getpid()),
    )
    record = SessionRecord(
        session_id=request.id,
        op_name=running.op_name,
        slot=worker.slot,
        stream_id=worker.stream_id,
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
    if is_claimed(answer, who):
        return
    if answer.answer == "final":
        _end_unstarted(app, task_id, answer.detail)
    reason = "left to the worker that took over" if answer.answer == "unleased" else "a copy, passed over"
    logger.warning("%s[%s]: %s: %s %s", task.name, task_id, reason, answer.answer, answer.detail)
    raise Ignore  # the reaper sends a run again that nobody has claimed


def is_claimed(answer: Claim, who: str) -> bool:
    """Return whether ``who`` may perform the run: the answer to its first claim may be lost with the connection."""
    return answer.ok or (answer.answer == "claimed" and answer.detail == who)


def _end_unstarted(app: SmurfqApp, task_id: str, state: str) -> None:
    """Write the end of a run into its record if Celery gave its task a final state before it started.

    An example is the body of a chord: Celery fails it if a member fails, and may have sent it before.
    """
    known = patiently(lambda: app.records.known_headers([task_id])).get(task_id)
    if known is None or known.status != "queued" or state == "SUCCESS":
        return
    error = patiently(lambda: app.backend.get_result(task_id))
    outcome = Outcome.ABORTED if state == "REVOKED" else Outcome.FAILED
    cause = error if isinstance(error, BaseException) else None
    patiently(lambda: app.write_end(task_id, outcome, cause))


def kept_request(name: str, request: Context) -> dict[str, Any]:
    """Return the part of a task's request that another process needs to fail its chain, its chord and its errbacks."""
    return {
        "id": request.id,
        "task": name,
        "name": name,
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
