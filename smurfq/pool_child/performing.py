"""Performs a claimed run: makes its job, with the functions that are called while it runs."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

from celery.utils.log import get_logger
from kombu.exceptions import OperationalError

from smurfq.core import identity
from smurfq.core.message_headers import OWNER
from smurfq.core.session import SessionHeader
from smurfq.core.slot import queue_name
from smurfq.pool_child.claimed_run import ClaimedRun, process_ids
from smurfq.pool_child.end_request import AbortRequest, Ask, requests_to_end
from smurfq.pool_child.job import Job
from smurfq.pool_child.run_policy import RunPolicy
from smurfq.pool_child.runner import runner_of
from smurfq.reaper import OutcomeWriter
from smurfq.store import best_effort, patiently

logger = get_logger(__name__)


def perform(run: ClaimedRun, policy: RunPolicy) -> dict[str, Any]:
    """Run the operation; its finished record (see ``Runner.run``)."""
    job = policy.before_run(run, job_of(run, policy))
    return runner_of(run.app).run(job)


def job_of(run: ClaimedRun, policy: RunPolicy) -> Job:
    """Return the job of a claimed run that has its card's lock."""
    assert run.lock is not None
    app, worker, operation, settings = run.app, run.worker, run.operation, run.app.settings
    leash, close_s = run.leash, settings.limits.close_stream_s

    def on_start(pid: int) -> None:
        run.running.processes.extend(process_ids(pid))
        patiently(lambda: app.fence.note_processes(run.running))

    def every_second(ask: Ask) -> None:
        worker.keep_lease(ask)
        if worker.lane == "control":
            _look_for_emergency(run, ask)
        if leash is not None:
            leash.heed(ask, is_process=operation.process, close_within_s=close_s)

    def worker_stops(ask: Ask) -> None:
        grace_s = policy.shutdown_grace_s(settings)
        for request in requests_to_end("the worker is being stopped", is_process=operation.process, delay_s=grace_s):
            ask(request)

    return Job(
        task_id=run.task_id,
        op_name=operation.name,
        slot=worker.slot,
        publisher=worker.publisher,
        stream_id=worker.stream_id,
        params=run.params,
        environment={**policy.environment(run), **_owner(run)},
        running=run.running,
        record=run.record,
        locks=(run.lock,),
        log=run.params.get("log", True),
        time_limit_s=policy.time_limit_s(run),
        is_process=operation.process,
        graces_s=policy.graces_s(settings),
        card=policy.card,
        on_start=on_start,
        on_progress=functools.partial(_show_progress, run, run.request.hostname),
        every_second=every_second,
        once={worker.stop_fd: worker_stops},
        driving=worker.driving(),
        conclude=OutcomeWriter(app).conclude_forgotten,
    )


def _owner(run: ClaimedRun) -> dict[str, str]:
    """The variable by which the operation's process submits in the name of the run's own submitter."""
    owner = getattr(run.request, OWNER, None)
    return {identity.VARIABLE: str(owner)} if owner else {}


def _look_for_emergency(run: ClaimedRun, ask: Ask) -> None:
    """Abort the operation if an emergency operation waits for its slot."""
    app, slot = run.app, run.worker.slot
    ids = [waiting.task_id for waiting in app.waiting.waiting_in(queue_name(slot, "emergency"))]
    if ids and is_emergency(app.records.known_headers(ids).values(), slot):
        grace_s = app.settings.limits.emergency_grace_s
        ask(AbortRequest("smurfq", "an emergency operation waits", grace_s=grace_s))


def is_emergency(waiting: Iterable[SessionHeader], slot: str) -> bool:
    """Return whether one of the runs whose messages wait in the emergency queue is still to run on this slot.

    Only a run with a record counts: a malformed message, or a copy of a finished run, must not abort anything.
    """
    return any(record.status == "queued" and record.slot == slot for record in waiting)


def _show_progress(run: ClaimedRun, node: str, text: str) -> None:
    # Flower shows events only. This one keeps the task's state and its Terminate button, and shows the text; its time
    # is that of the task's start, which Flower takes from the newest such event.
    # The record writer's thread calls this, where Celery's `send_event` would use the request of no task.
    with (
        best_effort(f"no progress event of {run.task_id}", OperationalError),
        run.app.events.default_dispatcher(hostname=node) as dispatcher,
    ):
        dispatcher.send("task-started", uuid=run.task_id, timestamp=run.running.started, result=text, retry=False)
