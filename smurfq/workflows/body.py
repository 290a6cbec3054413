"""What a workflow's process does, on the workers' side."""

from __future__ import annotations

from typing import Any

from celery._state import _task_stack

from smurfq.client.connection import connection_of
from smurfq.runner.session import Session
from smurfq.workflows import catalogue
from smurfq.workflows.host import SessionHost
from smurfq.workflows.running import Workflow


def run_workflow(
    session: Session,
    *,
    workflow: str,
    params: dict[str, Any] | None = None,
    slots: list[str] | None = None,
    min_survivors: int | None = None,
    max_failures: int | None = None,
) -> None:
    """Run a workflow: shipped, or of a file; its steps are in the record's data, as ``step_1``, ``step_2``, ….

    Raises
    ------
    RequestError
        There is no such workflow, or a parameter is refused. Nothing was queued.
    WorkflowHaltedError
        Too few slots were left, or too many were dropped.
    """
    _be_a_producer()
    definition = catalogue.find(workflow, session.settings.scripts.folders)
    definition.check(params)
    session.data.update(workflow=definition.name)
    with Workflow(
        slots,
        min_survivors=1 if min_survivors is None else min_survivors,
        max_failures=max_failures,
        connection=connection_of(None),
        host=SessionHost(session),
        workflow_id=session.session_id,
    ):
        returned = definition.run(params or {})
    if returned is not None:
        session.data["returned"] = returned


def _be_a_producer() -> None:
    """Forget the task that this process may have been forked in the middle of: what is sent here is no part of it."""
    while _task_stack.top is not None:
        _task_stack.pop()
