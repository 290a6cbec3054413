"""Runs a workflow's function in the workflow process."""

from __future__ import annotations

from typing import Any

from smurfq.client.connection import connection_of
from smurfq.operation_process.exit_code import check_exit
from smurfq.operation_process.forked_children import children_end_here
from smurfq.operation_process.session import Session
from smurfq.private_api.task_stack import forget_current_tasks
from smurfq.workflows import catalogue
from smurfq.workflows.definition import Definition
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
    """Run a workflow that smurfq provides or that a file defines. The record's data contain its steps: ``step_1``, ….

    Raises
    ------
    RequestError
        There is no such workflow, or a parameter is rejected. Nothing was queued.
    WorkflowHaltedError
        Too few slots were left, or too many were dropped.
    OperationFailedError
        It ended with an exit code other than 0.
    """
    forget_current_tasks()  # the operations that a workflow submits are not children of the task that runs it
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
        returned = _run(definition, params)
    if returned is not None:
        session.data["returned"] = returned


def _run(definition: Definition, params: dict[str, Any] | None) -> Any:
    """Return what the workflow returns; None if it ends with ``sys.exit(0)``. Processes that it forks end here."""
    try:
        with children_end_here():
            return definition.run(params or {})
    except SystemExit as end:
        check_exit(f"workflow {definition.name}", end)
