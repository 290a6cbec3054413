"""Performs a claimed run: makes its job, and says what to do while it runs."""

from __future__ import annotations

import functools
from typing import Any

from celery.utils.log import get_logger
from kombu.exceptions import OperationalError

from smurfq.core import identity
from smurfq.core.message_headers import OWNER
from smurfq.core.slot import queue_name
from smurfq.pool_child.claimed_run import ClaimedRun, process_ids
from smurfq.pool_child.job import Job
from smurfq.pool_child.run_policy import RunPolicy
from smurfq.pool_child.runner import runner_of
from smurfq.pool_child.supervisor import Supervisor
from smurfq.reaper import Reaper
from smurfq.store import best_effort, patiently

logger = get_logger(__name__)


def perform(run: ClaimedRun, policy: RunPolicy) -> dict[str, Any]:
    """The record of the finished operation; see ``Runner.run``."""
    job = policy.before_run(run, _job(run, policy))
    return runner_of(run.app).run(job)


def _job(run: ClaimedRun, policy: RunPolicy) -> Job:
    assert run.lock is not None
    app, worker, operation, settings = run.app, run.worker, run.operation, run.app.settings
    leash, close_s = run.leash, settings.limits.close_stream_s

    def on_start(pid: int) -> None:
        run.running.processes.extend(process_ids(pid))
        patiently(lambda: app.fence.note_processes(run.running))

    def every_second(supervisor: Supervisor) -> None:
        worker.keep_lease(supervisor)
        if worker.lane == "control":
            _look_for_emergency(run, supervisor)
        if leash is not None:
            leash.heed(supervisor, is_process=operation.process, close_within_s=close_s)

    def worker_stops(supervisor: Supervisor) -> None:
        reason = "the worker is being stopped"
        if operation.process:
            supervisor.ask_stop(by="smurfq", reason=reason)
        supervisor.ask_abort(by="smurfq", reason=reason, delay_s=policy.shutdown_grace_s(settings))

    return Job(
        task_id=run.task_id,
        op_name=operation.name,
        slot=worker.slot,
        publisher=worker.publisher,
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
        conclude=Reaper(app).conclude_forgotten,
    )


def _owner(run: ClaimedRun) -> dict[str, str]:
    """The variable by which the operation's process submits in the name of the run's own submitter."""
    owner = getattr(run.request, OWNER, None)
    return {identity.VARIABLE: str(owner)} if owner else {}


def _look_for_emergency(run: ClaimedRun, supervisor: Supervisor) -> None:
    """Abort the operation if an emergency operation waits for its slot."""
    app, slot = run.app, run.worker.slot
    ids = [waiting.task_id for waiting in app.waiting.waiting_in(queue_name(slot, "emergency"))]
    # Only a run with a record counts: a malformed message, or a copy of a finished run, must not abort anything.
    known = app.records.known_headers(ids).values() if ids else ()
    if any(record.status == "queued" and record.slot == slot for record in known):
        supervisor.ask_abort(
            by="smurfq",
            reason="an emergency operation waits",
            grace_s=app.settings.limits.emergency_grace_s,
        )


def _show_progress(run: ClaimedRun, node: str, text: str) -> None:
    # Flower shows events only. This one keeps the task's state and its Terminate button, and shows the text; its time
    # is that of the task's start, which Flower takes from the newest such event.
    # The record writer's thread calls this, where Celery's `send_event` would use the request of no task.
    with (
        best_effort(f"no progress event of {run.task_id}", OperationalError),
        run.app.events.default_dispatcher(hostname=node) as dispatcher,
    ):
        dispatcher.send("task-started", uuid=run.task_id, timestamp=run.running.started, result=text, retry=False)
