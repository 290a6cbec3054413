"""A task as the worker's main process sees it: terminated as an abort does it, and buried properly if it is lost."""

from __future__ import annotations

import signal as signals
import time
from typing import Any

from billiard.einfo import ExceptionInfo, ExceptionWithTraceback
from billiard.exceptions import WorkerLostError
from celery import states
from celery.platforms import signals as signal_numbers
from celery.utils.log import get_logger
from celery.worker.request import Request
from celery.worker.state import task_ready

from smurfq.app import SmurfqApp
from smurfq.core.session import Outcome
from smurfq.errors import OperationAbortedError, OperationDiedError
from smurfq.reaper import Reaper
from smurfq.runner import processes
from smurfq.runner.leftovers import end_leftovers
from smurfq.store import patiently
from smurfq.store.connection import AWAY
from smurfq.store.fence import Running
from smurfq.store.verbs import Request as Asked

logger = get_logger(__name__)

_GIVE_UP_AFTER_S = 60.0


class SlotRequest(Request):  # type: ignore[misc]
    """Celery's request, for operations."""

    _app: SmurfqApp

    @property
    def time_limits(self) -> tuple[None, None]:
        """None: the supervisor keeps the time limit, in stages; Celery's would kill it and leave the card as it is."""
        return (None, None)

    @time_limits.setter
    def time_limits(self, value: Any) -> None:
        """Celery sets it; see the getter."""

    def terminate(self, pool: Any, signal: Any = None) -> None:
        """Have the operation aborted, in stages; it ends as FAILURE with OperationAbortedError once it is gone.

        This is Flower's Terminate button and ``revoke(terminate=True)``. SIGKILL asks for no grace.
        """
        number = signal_numbers.signum(signal or "TERM")
        self._ask_abort(
            by="celery",
            reason=f"terminated with {signals.Signals(number).name}",
            grace_s=0.0 if number == signals.SIGKILL else None,
        )

    def cancel(self, pool: Any, signal: Any = None, emit_retry: bool = True) -> None:
        """End the operation at once: the worker is being stopped cold."""
        self._ask_abort(by="celery", reason="the worker is being stopped at once", grace_s=0.0)
        self._bury(
            OperationAbortedError(
                f"{self.name}[{self.id}] was killed: its worker was stopped at once (SIGQUIT)", session_id=self.id
            ),
            Outcome.ABORTED,
        )
        self._already_cancelled = True

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:
        """Handle the failure of a task; one whose pool child is gone takes its operation's processes with it."""
        exc = exc_info.exception
        exc = exc.exc if isinstance(exc, ExceptionWithTraceback) else exc
        if isinstance(exc, WorkerLostError | SystemExit | KeyboardInterrupt) and not self._already_cancelled:
            error = OperationDiedError(
                f"{self.name}[{self.id}]: the worker's process that watched it is gone ({exc}); the operation was "
                "killed, and the card may not be in the state it should be in",
                session_id=self.id,
            )
            if self._bury(error, Outcome.FAILED, store=False):
                task_ready(self)  # all that Celery's own would do for one that has not failed
                return None
            exc_info = _info(error)
        return super().on_failure(exc_info, send_failed_event, return_ok)

    def _ask_abort(self, **what: Any) -> None:
        try:
            self._app.verbs.ask(self.id, Asked("abort", time=time.time(), **what))
        except AWAY as cause:
            logger.error("cannot ask %s[%s] to abort, Redis is away: %s", self.name, self.id, cause)

    def _bury(self, error: Exception, outcome: Outcome, *, store: bool = True) -> bool:
        """Kill what is left of the operation, write its end, and note that the card may be unsafe.

        Returns whether it had ended before: then its end stays as it is.
        """
        try:
            running = patiently(self._find_running, give_up_after_s=_GIVE_UP_AFTER_S)
            if running is None:
                return self._app.backend.get_state(self.id) in states.READY_STATES
            processes.kill_groups(running.processes[1:])  # the first is the pool child, which Celery ends
            end_leftovers(self.id, self._app.worker_context.lock)
            if Reaper(self._app).conclude_ended(running):
                self._app.fence.finished(running.publisher, self.id)
                return True
            self._app.fence.mark_dirty(running.publisher, str(error))
            self._app.write_end(self.id, outcome, error)
            if store:
                self._app.backend.mark_as_failure(self.id, error, request=self._context)
            self._app.fence.finished(running.publisher, self.id)
        except AWAY as cause:
            logger.error("cannot write the end of %s[%s], Redis is away: %s", self.name, self.id, cause)
        return False

    def _find_running(self) -> Running | None:
        context = self._app.worker_context
        running = self._app.fence.running(context.publisher)
        return running if running is not None and running.task_id == self.id else None


def _info(error: Exception) -> ExceptionInfo:
    try:
        raise error
    except type(error):
        return ExceptionInfo()
