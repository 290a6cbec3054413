"""A run, by its id: follow it, wait for it, end it, read its record."""

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
    """One run of an operation. Cheap to make: nothing is read before it is asked for.

    Parameters
    ----------
    run_id
        The session id, which is also the Celery task id; whole.
    settings
        The site's; absent: those that this process's environment describes.
    """

    def __init__(self, run_id: str, settings: Settings | None = None, *, connection: Connection | None = None) -> None:
        self.id = run_id
        self._connection = connection or connection_of(settings)

    def __repr__(self) -> str:
        return f"Run({self.id!r})"

    def record(self) -> SessionRecord:
        """The session record as it stands, also long after the run, and of one that failed.

        Raises
        ------
        RecordNotFoundError
            No record is known by this id.
        """
        with self._connection.reached():
            return read_record(self._connection, self.id)

    def header(self) -> SessionHeader:
        """The record's header, without its messages, data, files, stages and log: cheap, whatever its size.

        Raises
        ------
        RecordNotFoundError
            No record is known by this id.
        """
        with self._connection.reached():
            return read_header(self._connection, self.id)

    def follow(self, timeout: float | None = None, *, past: bool = True) -> Iterator[RecordUpdate]:
        """All that happens to the run, as it happens, and what has happened before unless ``past`` is false.

        The last update is a ``DoneUpdate`` with the final record. Redis may go away and come back meanwhile.

        Raises
        ------
        WaitTimeoutError
            The run was not over within ``timeout`` seconds.
        """
        return Follower(self._connection, self.id, timeout, past=past).updates()

    def wait(self, timeout: float | None = None, *, raise_on_failure: bool = False) -> SessionRecord:
        """The final record, once the run is over, however it ended.

        Raises
        ------
        WaitTimeoutError
            The run was not over within ``timeout`` seconds; the message says what it is doing.
        OperationError
            ``raise_on_failure``, and the run ended without success: the error that ended it.
        """
        for update in self.follow(timeout, past=False):
            if isinstance(update, DoneUpdate):
                if raise_on_failure and not update.record.success:
                    raise operation_error(update.record)
                return update.record
        raise AssertionError("a follower ends with DoneUpdate or raises")

    def result(self, timeout: float | None = None) -> dict[str, Any]:
        """The final record as the JSON object that Celery's ``.get()`` returns, once the run has succeeded.

        Raises
        ------
        WaitTimeoutError, OperationError
            As for ``wait`` with ``raise_on_failure``.
        """
        return self.wait(timeout, raise_on_failure=True).to_dict()

    def stop(self, by: str | None = None, reason: str = "", *, wait_s: float | None = None) -> Answer:
        """Ask the run to end in good order: a process such as ``stream`` ends with success.

        Returns ``asked``; ``removed`` where it had not started and was taken out of its queue; ``over`` where
        it had ended before.
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
        """Ask the run to end now, in stages: asked, interrupted, killed; it ends as ``aborted``.

        Returns as ``stop`` does.

        Parameters
        ----------
        by, reason
            Who asks, and why; both go into the record. ``by`` is ``user@host`` unless given.
        grace_s
            Instead of the site's graces: how long each stage may take before the next, rougher one.
        wait_s
            Return only once the run is over, or raise ``WaitTimeoutError`` after so many seconds.
        """
        return self._end("abort", by, reason, grace_s, wait_s)

    def waiting(self) -> Waiting | None:
        """The run's message, while it waits in a queue."""
        with self._connection.reached():
            header = self._connection.records.header(self.id)
            found = self._connection.queues.waiting(header.slot)
        return next((item for item in found if item.task_id == self.id), None)

    def remove(self, by: str | None = None, reason: str = "") -> None:
        """Take the run out of its queue; it ends as ``aborted``, and so does what was chained to it.

        Raises
        ------
        RequestError
            It does not wait: it runs, or has ended.
        """
        if not self._remove(by or whoami(), reason):
            raise self._not_waiting("taken out of its queue", f"`smurfq abort {short(self.id)}` ends a running one")

    def move_to_front(self) -> None:
        """Make the run the next of its queue to be served.

        Raises
        ------
        RequestError
            It does not wait: it runs, or has ended.
        """
        waiting = self.waiting()
        with self._connection.reached():
            moved = waiting is not None and self._connection.queues.to_front(waiting)
        if not moved:
            raise self._not_waiting("moved", "`smurfq queue list` shows what waits")

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
                    f"{plain_name(waiting.op_name)} {short(self.id)} was taken out of the queue "
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
