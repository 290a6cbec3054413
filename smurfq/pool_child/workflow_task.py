"""The Celery task of a workflow, which runs in a worker of its own.

The function that runs in a workflow's process is in ``smurfq.workflows``, a layer above. The workflows' worker supplies
it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from smurfq.app import SmurfqApp
from smurfq.config import Settings
from smurfq.core.slot import WORKFLOWS
from smurfq.operation_process.session import Session
from smurfq.pool_child.claimed_run import ClaimedRun
from smurfq.pool_child.job import Job
from smurfq.pool_child.operation_task import OperationTask, operation_task
from smurfq.pool_child.run_policy import RunPolicy
from smurfq.store import patiently
from smurfq.store.leashes import Leashes


class WorkflowPolicy(RunPolicy):
    """The policy for a workflow: it drives no card, and has no time limit unless its submission sets one."""

    card = False

    def slot_of(self, settings: Settings, kwargs: Mapping[str, Any]) -> str:
        """Return the name of the workflows' worker, which is used in place of a slot."""
        return WORKFLOWS

    def environment(self, run: ClaimedRun) -> dict[str, str]:
        """Return a backend of matplotlib that needs no screen, unless the worker's environment names a backend."""
        return {} if "MPLBACKEND" in os.environ else {"MPLBACKEND": "Agg"}

    def graces_s(self, settings: Settings) -> tuple[float, float]:
        """Return graces that give the runs of a workflow the time to end: their streams have to be closed."""
        return settings.limits.abort_grace_s, settings.limits.clean_workflow_s

    def shutdown_grace_s(self, settings: Settings) -> float:
        """Return 0: a workflow may have hours to go, and has to end the runs that it has started."""
        return 0.0

    def time_limit_s(self, run: ClaimedRun) -> float | None:
        """Return the shortest of the settings' and the request's time limits; None if there is neither."""
        return self._shortest_limit_s(run, None)

    def before_run(self, run: ClaimedRun, job: Job) -> Job:
        """Remove the note that a card is unsafe, since a workflow has no card."""
        patiently(lambda: run.app.fence.take_needs_make_safe(run.worker.publisher))
        return job

    def after_run(self, app: SmurfqApp, task_id: str) -> None:
        """End the runs that the workflow has started, if its process died before it could."""
        patiently(lambda: Leashes(app.store).end(task_id, f"its workflow {task_id[:8]} has ended"))


class WorkflowTask(OperationTask):
    """A task that is a workflow."""

    abstract = True
    policy = WorkflowPolicy()


def workflow(session: Session, **_params: Any) -> None:
    """Run an observing workflow over several slots."""
    raise NotImplementedError(f"{session.session_id}: the workflows' worker runs `smurfq.workflows.body` for this")


task: WorkflowTask = operation_task(workflow, WorkflowTask)
