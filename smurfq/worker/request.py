"""A task in the worker's main process: revoking it aborts the operation, and a lost one gets a final state."""

from __future__ import annotations

import logging
import signal as signals
import time
from functools import partial
from typing import Any

from billiard.einfo import ExceptionWithTraceback
from billiard.exceptions import WorkerLostError
from celery import states
from celery.platforms import signals as signal_numbers
from celery.utils.log import get_logger
from celery.worker.state import task_ready

from smurfq.app import SmurfqApp
from smurfq.core.process_id import ProcessId
from smurfq.core.session import Outcome
from smurfq.errors import OperationAbortedError, OperationDiedError
from smurfq.host import processes
from smurfq.host.orphans import Ended, end_orphans
from smurfq.private_api.request import OpenRequest
from smurfq.reaper import OutcomeWriter
from smurfq.store import best_effort, patiently
from smurfq.store.control_requests import Request as Asked
from smurfq.store.fence import Running

logger = get_logger(__name__)


class SlotRequest(OpenRequest):
    """Celery's request, for operations."""

    app: SmurfqApp

    @property
    def time_limits(self) -> tuple[None, None]:
        """None: the supervisor applies the time limit, in stages. Celery would kill the process at once."""
        return (None, None)

    @time_limits.setter
    def time_limits(self, value: Any) -> None:
        """Ignore the value that Celery sets; see the getter."""

    def terminate(self, pool: Any, signal: Any = None) -> None:
        """Abort the operation in stages; the task then ends as FAILURE with OperationAbortedError.

        This is Flower's Terminate button and ``revoke(terminate=True)``. SIGKILL asks for no grace.
        """
        number = signal_numbers.signum(signal or "TERM")
        self._ask_abort(
            by="celery",
            reason=f"terminated with {signals.Signals(number).name}",
            grace_s=0.0 if number == signals.SIGKILL else None,
        )

    def cancel(self, pool: Any, signal: Any = None, emit_retry: bool = True) -> None:
        """Kill the operation at once, because the worker is being stopped by SIGQUIT.

        Its pool child is killed first, which may be about to say another end of it, or to queue the step after it.
        Celery calls this in its handler of the signal, which may interrupt the main thread anywhere, also while that
        holds a lock. So nothing here waits for Redis: the end is written once Celery has stopped.
        """
        if self.was_cancelled:
            return
        self.mark_cancelled()
        child = ProcessId.of(self.worker_pid) if self.worker_pid else None
        processes.kill_groups([child] if child else [])
        left = end_orphans(self.id, self.app.worker_context.lock)
        error = OperationAbortedError(
            f"{self.name}[{self.id}] was killed: its worker was stopped at once (SIGQUIT)", session_id=self.id
        )
        self.app.worker_context.cancelled[self.id] = partial(self._finalize_lost, error, Outcome.ABORTED, left)

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:
        """Handle the failure of a task. If its pool child died, end the processes of its operation."""
        exc = exc_info.exception
        exc = exc.exc if isinstance(exc, ExceptionWithTraceback) else exc
        if not isinstance(exc, WorkerLostError | SystemExit | KeyboardInterrupt):
            return super().on_failure(exc_info, send_failed_event, return_ok)
        error = OperationDiedError(
            f"{self.name}[{self.id}]: the worker's process that watched it is gone ({exc}); the operation was "
            "killed, and the card may not be in the state it should be in",
            session_id=self.id,
        )
        task_ready(self)
        if self.was_cancelled:
            return None
        left = end_orphans(self.id, self.app.worker_context.lock)  # whether Redis answers or not
        if self._finalize_lost(error, Outcome.FAILED, left):
            self.send_event("task-failed", exception=repr(error), traceback=None)
        return None

    def _ask_abort(self, **what: Any) -> None:
        with best_effort(f"cannot ask {self.name}[{self.id}] to abort", level=logging.ERROR):
            self.app.control_requests.ask(self.id, Asked("abort", time=time.time(), **what))

    def _finalize_lost(self, error: Exception, outcome: Outcome, left: Ended) -> bool:
        """Write the end of an operation whose pool child died; whether the run was given its final state here.

        It may have ended before. Or it had not begun: then its message is sent again. ``left``: its orphans.
        """
        with best_effort(f"cannot write the end of {self.name}[{self.id}]", level=logging.ERROR):
            running = patiently(self._find_running)
            if running is None:
                return self._finalize_unclaimed(error)
            outcomes = OutcomeWriter(self.app)
            killed = processes.kill_groups(running.processes)
            outcomes.note_ended(self.id, running.op_name, Ended(killed + left.ended, left.remaining))
            buried = False
            if not outcomes.conclude_ended(running):
                self.app.fence.mark_needs_make_safe(running.publisher, str(error))
                buried = outcomes.conclude(running, error, outcome)
            self.app.fence.finished(running)
            return buried
        return False

    def _finalize_unclaimed(self, error: Exception) -> bool:
        """Give a final state to a run that was never claimed or is over: nobody else would send it again."""
        ended = self.app.backend.get_state(self.id) in states.READY_STATES
        if ended or self.app.records.exists(self.id):
            return False
        self.app.backend.mark_as_failure(self.id, error, request=self.task_context)
        return True

    def _find_running(self) -> Running | None:
        context = self.app.worker_context
        running = self.app.fence.running(context.publisher)
        return running if running is not None and running.task_id == self.id else None
