"""What happens to a running operation when its worker is stopped, and to the chain of one that Celery revoked."""

from __future__ import annotations

from typing import Any

from celery import signals
from celery.exceptions import TaskRevokedError
from celery.utils.log import get_logger

from smurfq.app import SmurfqApp
from smurfq.core import operations
from smurfq.core.session import Outcome
from smurfq.errors import OperationAbortedError
from smurfq.store.connection import AWAY
from smurfq.store.verbs import Request

logger = get_logger(__name__)


def connect(app: SmurfqApp) -> None:
    """Have Celery's signals lead here."""

    def stopping(**_kwargs: Any) -> None:
        end_what_runs(app)

    def revoked(sender: Any = None, request: Any = None, expired: bool = False, **_kwargs: Any) -> None:
        fail_revoked(app, request, expired=expired)

    signals.worker_shutting_down.connect(stopping, weak=False)
    signals.task_revoked.connect(revoked, weak=False)


def end_what_runs(app: SmurfqApp) -> None:
    """Ask what runs to end: a process at once, in good order; anything else after its time to end by itself."""
    try:
        running = app.fence.running(app.worker_context.publisher)
        if running is None:
            return
        if operations.operation(running.op_name).process:
            app.verbs.ask(running.task_id, Request("stop", by="smurfq", reason="the worker is being stopped"))
        is_workflow = running.op_name == operations.WORKFLOW.name  # it takes hours, and has to end what it started
        grace_s = 0.0 if is_workflow else app.settings.limits.shutdown_grace_s
        app.verbs.ask(
            running.task_id,
            Request("abort", by="smurfq", reason="the worker is being stopped", delay_s=grace_s),
        )
    except AWAY as cause:
        logger.error("cannot ask what runs to end, Redis is away: %s", cause)


def fail_revoked(app: SmurfqApp, request: Any, *, expired: bool) -> None:
    """End the chain and the record of a task that was revoked, or had expired, before it ran.

    Celery 5.7 marks the task itself only; the rest of its chain would stay PENDING for ever.
    """
    why = "had expired" if expired else "was revoked"
    chain = getattr(request, "chain", None)
    app.backend._fail_chain(chain, TaskRevokedError(why), state="REVOKED")
    if getattr(request, "errbacks", None):
        app.backend._call_task_errbacks(request, TaskRevokedError(why), None)
    error = OperationAbortedError(f"{request.task}[{request.id}] {why} before it ran", session_id=request.id)
    app.end_records(request.id, chain, Outcome.ABORTED, error)
