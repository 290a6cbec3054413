"""A handle of a run: follows it, waits for it, ends it, and reads its record."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Literal

from smurfq.client.connection import Connection, connection_of, whoami
from smurfq.client.final import operation_error
from smurfq.client.following import Follower
from smurfq.client.run_reader import read_header, read_record
from smurfq.client.updates import DoneUpdate, RecordUpdate
from smurfq.client.waiting import plain_name, short
from smurfq.config import Settings
from smurfq.core.session import SessionHeader, SessionRecord
from smurfq.errors import OperationAbortedError, RequestError
from smurfq.store.control_requests import Request, Verb
from smurfq.store.queues import Waiting

Answer = Literal["asked", "removed", "over"]


class Run:
    """One run of an operation. Creating the object reads nothing from Redis.

    Parameters
    ----------
    run_id
        The complete session id, which is also the Celery task id.
    settings
        The settings of the site. Default: those of this process's environment.
    """

    def __init__(self, run_id: str, settings: Settings | None = None, *, connection: Connection | None = None) -> None:
        self.id = run_id
        self._connection = connection or connection_of(settings)

    def __repr__(self) -> str:
        return f"Run({self.id!r})"

    def record(self) -> SessionRecord:
        """Return the present session record, also after the run has ended or failed.

        Raises
        ------
        RecordNotFoundError
            No record has this id.
        """
        with self._connection.reached():
            return read_record(self._connection, self.id)

    def header(self) -> SessionHeader:
        """Return the record's header, without messages, data, files, stages and log; fast for a record of any size.

        Raises
        ------
        RecordNotFoundError
            No record has this id.
        """
        with self._connection.reached():
            return read_header(self._connection, self.id)

    def follow(self, timeout: float | None = None, *, past: bool = True) -> Iterator[RecordUpdate]:
        """Yield the updates of the run as they happen; the past ones first, unless ``past`` is false.

        The last update is a ``DoneUpdate`` with the final record. Outages of Redis are waited out.

        Raises
        ------
        WaitTimeoutError
            The run did not end within ``timeout`` seconds.
        """
        return Follower(self._connection, self.id, timeout, past=past).updates()

    def wait(self, timeout: float | None = None, *, raise_on_failure: bool = False) -> SessionRecord:
        """Wait until the run ends with any outcome, and return its final record.

        Raises
        ------
        WaitTimeoutError
            The run did not end within ``timeout`` seconds; the message says what it is doing.
        OperationError
            ``raise_on_failure`` is true and the run did not succeed; this is the error that ended it.
        """
        for update in self.follow(timeout, past=False):
            if isinstance(update, DoneUpdate):
                if raise_on_failure and not update.record.success:
                    raise operation_error(update.record)
                return update.record
        raise AssertionError("a follower ends with DoneUpdate or raises")

    def result(self, timeout: float | None = None) -> dict[str, Any]:
        """Wait until the run has succeeded, and return the final record as the JSON object of Celery's ``.get()``.

        Raises
        ------
        WaitTimeoutError, OperationError
            See ``wait`` with ``raise_on_failure``.
        """
        return self.wait(timeout, raise_on_failure=True).to_dict()

    def stop(self, by: str | None = None, reason: str = "", *, wait_s: float | None = None) -> Answer:
        """Stop the run: a process such as ``stream`` ends and succeeds.

        Return ``asked``; ``removed`` if the run had not started and was removed from its queue; ``over`` if it had
        already ended.
        """
        return self._end("stop", by, reason, None, wait_s)

    def abort(
        self,
        by: str | None = None,
        reason: str = "",
        *,
        grace_s: float | None = None,
        wait_s: float | None = None,
    ) -> Answer:
        """Abort the run in stages: asked, signalled, killed. It ends as ``aborted``.

        Return the same values as ``stop``.

        Parameters
        ----------
        by, reason
            Who aborts the run, and why; the record contains both. The default of ``by`` is ``user@host``.
        grace_s
            How long each stage may take before the next one. Default: the grace times of the site.
        wait_s
            Return only when the run is over, and raise ``WaitTimeoutError`` after this many seconds.
        """
        return self._end("abort", by, reason, grace_s, wait_s)

    def waiting(self) -> Waiting | None:
        """Return the run's message while it waits in a queue, else None."""
        with self._connection.reached():
            header = self._connection.records.header(self.id)
            found = self._connection.queues.waiting(header.slot)
        return next((item for item in found if item.task_id == self.id), None)

    def remove(self, by: str | None = None, reason: str = "") -> None:
        """Remove the run from its queue. It ends as ``aborted``, and the runs that are chained to it fail.

        Raises
        ------
        RequestError
            The run is not waiting: it is running, or has ended.
        """
        if not self._remove(by or whoami(), reason):
            raise self._not_waiting("removed from its queue", f"`smurfq abort {short(self.id)}` ends a running one")

    def move_to_front(self) -> None:
        """Move the run to the front of its queue.

        Raises
        ------
        RequestError
            The run is not waiting: it is running, or has ended.
        """
        waiting = self.waiting()
        with self._connection.reached():
            moved = waiting is not None and self._connection.queues.to_front(waiting)
        if not moved:
            raise self._not_waiting("moved", "`smurfq queue list` shows the waiting runs")

    def _end(self, verb: Verb, by: str | None, reason: str, grace_s: float | None, wait_s: float | None) -> Answer:
        by = by or whoami()
        record = self.header()
        if record.done:
            return "over"
        answer: Answer = "asked"
        if record.status == "queued" and self._remove(by, reason):
            answer = "removed"
        else:
            with self._connection.reached():
                self._connection.control_requests.ask(self.id, Request(verb, by, reason, time.time(), grace_s))
        if wait_s is not None:
            self.wait(wait_s)
        return answer

    def _remove(self, by: str, reason: str) -> bool:
        waiting = self.waiting()
        if waiting is None:
            return False
        with self._connection.reached():
            if not self._connection.queues.remove(waiting):
                return False
            because = f": {reason}" if reason else ""
            self._connection.app.fail_waiting(
                waiting,
                OperationAbortedError(
                    f"{plain_name(waiting.op_name)} {short(self.id)} was removed from the queue "
                    f"{waiting.queue} by {by} before it had started{because}",
                    session_id=self.id,
                    by=by,
                    reason=reason,
                ),
            )
        return True

    def _not_waiting(self, what: str, hint: str) -> RequestError:
        record = self.header()
        now = f"ended as {record.outcome}" if record.done else f"is {record.status}"
        return RequestError(
            f"{plain_name(record.op_name)} {short(self.id)} on {record.slot} cannot be {what}: it {now}; {hint}",
            session_id=self.id,
            status=record.status,
        )
