"""The Celery task of an operation: its hooks claim the run, perform it and finish it.

A family's module declares its operations with ``@operation``; the function beneath it runs in the operation's own
process, never in the worker.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from celery.exceptions import Ignore
from celery.utils.log import get_logger

from smurfq import operations
from smurfq.app import SmurfqApp, app
from smurfq.celery_app.checked_signature import CheckedSignature
from smurfq.core.message_headers import LANE, STREAM_ID
from smurfq.core.previous_steps import previous_steps
from smurfq.core.scripts import check_arguments, check_log, check_script
from smurfq.core.session import Outcome
from smurfq.core.slot import both_names
from smurfq.errors import OperationAbortedError, OperationLostError, ParameterError, SmurfqError, UnknownSlotError
from smurfq.operation_process.process import Body
from smurfq.pool_child.card_lock import take_card
from smurfq.pool_child.claimed_run import ClaimedRun
from smurfq.pool_child.claiming import claim_run
from smurfq.pool_child.context import WorkerContext, worker_of
from smurfq.pool_child.performing import perform
from smurfq.pool_child.run_policy import RunPolicy
from smurfq.pool_child.runner import runner_of
from smurfq.store import patiently

logger = get_logger(__name__)

T = TypeVar("T", bound="OperationTask")


def operation(body: Body) -> OperationTask:
    """Return the Celery task ``smurfq.<name>`` of the operation whose function is ``body``.

    The function has the name and the parameters that the operations table gives.
    """
    return operation_task(body, OperationTask)


def operation_task(body: Body, base: type[T]) -> T:
    """Return a Celery task of the class ``base`` with the name and the documentation of ``body``."""
    name = body.__name__
    task: T = app.task(
        bind=True,
        base=base,
        name=operations.task_name(name),
        body=staticmethod(body),
        typing=False,  # the operations table checks parameters, and says what is wrong with them
    )(_named(name, body))
    return task


def _named(name: str, body: Body) -> Callable[..., Any]:
    def run(task: OperationTask, previous: Any = None, /, **_params: Any) -> dict[str, Any]:
        assert task.claimed is not None
        return perform(task.claimed, task.policy)

    run.__name__ = run.__qualname__ = name
    run.__module__ = body.__module__
    run.__doc__ = inspect.getdoc(body)
    return run


class OperationTask(CheckedSignature):
    """A task that is an operation of a slot."""

    abstract = True
    Request = "smurfq.worker.request:SlotRequest"
    throws = (SmurfqError,)  # Celery logs these in a line; the record has the operation's own traceback
    resultrepr_maxsize = 200  # of the record in the worker's log and in events
    app: SmurfqApp
    body: Body  # the function that the operation's own process runs
    policy = RunPolicy()
    claimed: ClaimedRun | None = None  # from ``before_start`` to ``after_return``; a pool child runs one task at a time

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        """Claim the run, check its parameters and lock its card: after this the task runs, here and nowhere else.

        Raises
        ------
        Ignore
            The run has ended or is running elsewhere: this message is a copy.
        SmurfqError
            The run is rejected; its record says why.
        """
        worker = worker_of(self.app)
        slot = self.policy.slot_of(self.app.settings, kwargs)
        if slot != worker.slot:
            self._reject_slot(worker, slot, task_id)
        if self.claimed is not None:  # its operation ended, but Celery could not bring its task to an end
            self.claimed.unlock()
        params = {name: value for name, value in kwargs.items() if name != "slot"}
        # The claim comes before all checks: a copy must not write the end of the run that it is a copy of.
        self.claimed = run = claim_run(self, worker, params)
        previous_steps(run.operation.name, args)
        run.params = operations.check(run.operation.name, params)
        self._reject_moved(run)
        if "script" in run.params:
            check_script(run.params["script"], self.app.settings.scripts.folders)
            check_log(run.params["log"], self.app.settings.log_folders)
            check_arguments(run.params["args"], slot)
        if (leash := run.leash) is not None:
            leash.require(f"{run.operation.name} on {slot}")
        take_card(run)

    def _reject_slot(self, worker: WorkerContext, slot: str, task_id: str) -> NoReturn:
        """End a message that came through the queue of another slot; ignore it if its run has a record."""
        if patiently(lambda: self.app.records.exists(task_id)):
            logger.warning("a copy of %s[%s] for %s came to %s: passed over", self.name, task_id, slot, worker.queue)
            raise Ignore
        raise ParameterError(
            f"{self.name} for {slot} came through the queue of {worker.slot}; smurfq itself would have routed it",
            slot=slot,
        )

    def _reject_moved(self, run: ClaimedRun) -> None:
        """Reject a run for a stream id that has moved to another slot while the run waited; never an emergency."""
        asked, slot, present = getattr(run.request, STREAM_ID, None), run.worker.slot, run.worker.stream_id
        if asked in (None, present) or getattr(run.request, LANE, None) == "emergency":
            return
        raise UnknownSlotError(
            f"{run.operation.name} was submitted for the stream id {asked!r}, which was in {slot} then; now this slot "
            f"is {both_names(slot, present)}. Nothing was done; submit it again",
            slot=slot,
            got=asked,
        )

    def on_failure(self, exc: Exception, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """Write the end of a task that failed before or beside its operation."""
        if not isinstance(exc, SmurfqError):
            logger.error("%s[%s] failed in the worker itself", self.name, task_id, exc_info=exc)
        if patiently(lambda: self.app.records.exists(task_id)):
            patiently(lambda: self.app.write_end(task_id, _outcome_of(exc), exc))

    def after_return(self, status: str, retval: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """Finish the run, and have a process ready for the next operation."""
        run, self.claimed = self.claimed, None
        if run is not None:
            try:
                self.policy.after_run(self.app, task_id)
            finally:
                run.finish()
        runner_of(self.app).prepare()


def _outcome_of(error: Exception) -> Outcome:
    if isinstance(error, OperationLostError):
        return Outcome.LOST
    return Outcome.ABORTED if isinstance(error, OperationAbortedError) else Outcome.FAILED
