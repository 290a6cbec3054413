"""Writes the outcome of a run whose worker cannot, into its record and into Celery's result."""

from __future__ import annotations

import socket
import time
from typing import Any

from celery import states
from celery.app.task import Context
from celery.utils import uuid
from celery.utils.log import get_logger

from smurfq.app import SmurfqApp
from smurfq.core import session
from smurfq.core.session import Outcome, SessionHeader
from smurfq.host.orphans import Ended
from smurfq.host.outcome_spool import OutcomeSpool
from smurfq.private_api import result_backend
from smurfq.reaper.lost_errors import next_step_gone, outcome_forgotten, recorded_error
from smurfq.store import Batch
from smurfq.store.fence import Running

logger = get_logger(__name__)


class OutcomeWriter:
    """Writes outcomes of runs. An outcome that was written before stays, and Celery gets the same one."""

    def __init__(self, app: SmurfqApp) -> None:
        self._app = app

    def conclude(self, running: Running, error: Exception, outcome: Outcome) -> bool:
        """Give a run this outcome; false if it has another.

        The last events of its dead process may arrive only now. The end of the record can be written once, and decides.
        """
        known = self._app.records.exists(running.task_id)
        if known and not self._app.write_end(running.task_id, outcome, error):
            self.conclude_ended(running)
            return False
        self._app.end_unrun(_request_of(running), error, outcome)
        return True

    def conclude_forgotten(self, running: Running) -> None:
        """Conclude a run that is over, although a Redis that has lost its newest data says that it is running.

        Only the worker that has the lease may do this.
        """
        if self.conclude_ended(running):
            return
        error = outcome_forgotten(running)
        logger.error("%s", error)
        self.conclude(running, error, Outcome.LOST)

    def conclude_ended(self, running: Running) -> bool:
        """Complete the outcome of a run that has ended in Celery or in its record alone; false if it has in neither.

        Its worker may have died at any moment after the end; the rest of its chain must not fail for that.
        """
        request = _request_of(running)
        if running.host == socket.gethostname():
            OutcomeSpool(self._app.settings).write(running.task_id, self._app.records)
        state = self._app.backend.get_state(running.task_id)
        if state in states.READY_STATES:
            self._count_in_chord(request, state)
            return True
        record = self._app.records.known_headers([running.task_id]).get(running.task_id)
        if record is not None and record.done:
            self._store_recorded(record, request)
            return True
        return False

    def note_ended(self, task_id: str, op_name: str, found: Ended) -> None:
        """Add to a record, and to the log, which processes of its operation were ended after it."""
        if not found:
            return
        text = found.describe(op_name)
        logger.warning("%s[%s]: %s", op_name, task_id, text)
        if self._app.records.exists(task_id):
            self._app.records.append(Batch(task_id, f"reaper-{uuid()}", 0, [session.message(text, time.time())]))

    def _count_in_chord(self, request: Context, state: str) -> None:
        """Count a task that has ended among the members of its chord: its worker may have died between the two.

        A chord that has all its members has its body sent, if it was not sent before.
        """
        body = ((request.chord or {}).get("options") or {}).get("task_id")
        if body is None or self._app.records.exists(body):
            return
        result_backend.count_in_chord(self._app.backend, request, state)

    def _store_recorded(self, record: SessionHeader, request: Any) -> None:
        """Store the outcome of a record in Celery: the worker died before it could."""
        backend = self._app.backend
        task_id = record.session_id
        if not record.success:
            backend.mark_as_failure(task_id, recorded_error(record), request=request)
            return
        backend.mark_as_done(task_id, self._app.records.read(task_id).to_dict(), request=request)
        chain = list(request.chain or ())
        next_id = (chain[-1].get("options") or {}).get("task_id") if chain else None
        if next_id and not self._app.records.exists(next_id):
            result_backend.fail_chain(backend, chain, next_step_gone(record), state=states.FAILURE)


def _request_of(running: Running) -> Context:
    return Context({**running.request, "id": running.task_id})
