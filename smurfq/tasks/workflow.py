"""`workflow`: an observing workflow over several slots, in a worker of its own.

What its process does is in ``smurfq.workflows``, which stands above this: the workflows' worker puts it in.
"""

from __future__ import annotations

import os
from typing import Any

from smurfq.core import operations
from smurfq.core.slot import WORKFLOWS
from smurfq.errors import SmurfqError
from smurfq.operation.session import Session
from smurfq.pool_child.context import WorkerContext, worker_of
from smurfq.pool_child.job import Job
from smurfq.pool_child.operation_task import BODIES, OperationTask, operation_task
from smurfq.store import patiently
from smurfq.store.leashes import Leashes


class WorkflowTask(OperationTask):
    """A task that is a workflow: it drives no card, and runs until it is through."""

    abstract = True
    card = False

    def _slot_of(self, kwargs: Any) -> str:
        return WORKFLOWS

    def _environment(self, worker: WorkerContext) -> dict[str, str]:
        return {} if "MPLBACKEND" in os.environ else {"MPLBACKEND": "Agg"}

    def _graces_s(self) -> tuple[float, float]:
        """What it has started may take long to end: streams have to be closed."""
        limits = self.app.settings.limits
        return limits.abort_grace_s, limits.clean_workflow_s

    def _shutdown_grace_s(self) -> float:
        """None: it may have hours to go, and has to end what it started."""
        return 0.0

    def _time_limit_s(self, table: operations.Operation) -> float | None:
        asked = [limit for limit in (self.request.timelimit or ()) if limit]
        limits = [limit for limit in (self.app.settings.time_limit_s(table.name, None), *asked) if limit is not None]
        return min(limits) if limits else None

    def _make_safe_first(self, job: Job) -> Job:
        patiently(lambda: self.app.fence.take_needs_make_safe(worker_of(self.app).publisher))
        return job

    def _warn_of_edits(self, job: Job) -> None:
        pass

    def after_return(self, status: str, retval: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """Let go of the seat, and of what the workflow has started where its process died before it could."""
        if self._running is not None:
            patiently(lambda: Leashes(self.app.store).end(task_id, f"its workflow {task_id[:8]} has ended"))
        super().after_return(status, retval, task_id, args, kwargs, einfo)


def workflow(session: Session, **_params: Any) -> None:
    """Run an observing workflow over several slots.

    Raises
    ------
    SmurfqError
        This is not the workflows' worker.
    """
    raise SmurfqError(f"{session.session_id}: workflows run in the workflows' worker only: `smurfq worker --workflows`")


BODIES[operations.WORKFLOW.name] = workflow
task: WorkflowTask = operation_task(workflow, WorkflowTask)
