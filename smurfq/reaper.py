"""Gives a final state to runs whose worker or message is gone, so that nobody waits for them without end.

The record ends as ``lost``, and so do the rest of its chain, its chord and its error callbacks.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from celery import states
from celery.app.task import Context
from celery.utils import uuid
from celery.utils.log import get_logger

from smurfq import errors, operations
from smurfq.app import SmurfqApp
from smurfq.core import keys, session
from smurfq.core.session import Outcome, SessionHeader
from smurfq.core.slot import WORKER_LANES, WORKFLOWS, publisher_id, queue_name, workflow_seats
from smurfq.errors import OperationAbortedError, OperationLostError, RecordNotFoundError
from smurfq.host import processes
from smurfq.host.lock import lock_path
from smurfq.host.orphans import Ended, end_orphans
from smurfq.host.outcome_spool import OutcomeSpool
from smurfq.private_api import result_backend
from smurfq.store import Batch
from smurfq.store.connection import AWAY, require_writes
from smurfq.store.fence import Running
from smurfq.store.leashes import Leashes

logger = get_logger(__name__)

WORKER_GONE_S = 30.0  # without a lease for this long, while Redis answers: its worker is gone
MESSAGE_GONE_S = 15.0  # submitted this long ago, not claimed, and its message is in no queue
REST = 20  # times as long as a look at all that waits took, before the next one: else it may be all that is done
LONGEST_REST_S = 30.0
RESENDS = 3  # of a message that workers took and never claimed; then its task is lost


class Reaper:
    """Looks for what has lost its worker or its message."""

    def __init__(self, app: SmurfqApp, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._clock = clock
        self._unleased_since: dict[str, float] = {}
        self._rests_until = 0.0

    def sweep(self) -> list[str]:
        """The ids of the tasks that were given up now: called every few seconds, by any process."""
        try:
            require_writes(self._app.store)
            return [*self._sweep_running(), *self._sweep_waiting()]
        except AWAY:
            self._unleased_since.clear()  # nobody could renew a lease
            raise

    def _sweep_running(self) -> list[str]:
        found = []
        served = self._served()
        all_running = self._app.fence.running_of([publisher for publisher, _ in served])
        owners = self._app.fence.lease_owners([leased for publisher, leased in served if publisher in all_running])
        for publisher, leased in served:
            running = all_running.get(publisher)
            if running is None or owners.get(leased) == running.lease:
                self._unleased_since.pop(publisher, None)
            elif self._clock() - self._unleased_since.setdefault(publisher, self._clock()) >= WORKER_GONE_S:
                found += self._try(running.task_id, partial(self.reap, publisher))
        return found

    def _served(self) -> list[tuple[str, str]]:
        """All publisher ids under which something may run, each with what its worker has leased."""
        settings = self._app.settings
        lanes = [(publisher_id(slot, lane), queue_name(slot, lane)) for slot in settings.slots for lane in WORKER_LANES]
        return lanes + [(seat, seat) for seat in workflow_seats(settings.workflows.at_once)]

    @staticmethod
    def _try(task_id: str, give_up: Callable[[], object]) -> list[str]:
        """``task_id`` if it was given up: what is wrong with one must not keep the others waiting."""
        try:
            return [task_id] if give_up() else []
        except AWAY:
            raise
        except Exception:
            logger.exception("cannot give up %s", task_id)
            return []

    def reap(self, publisher: str, by: str | None = None) -> Running | None:
        """End what is written down as running under a publisher id, whose worker is gone; None if nothing is.

        ``by`` is the token of a worker that has the lease. One that was stopped for a while, and goes on without
        knowing that another has taken over, ends nothing of the other's.
        """
        running = self._app.fence.running(publisher)
        owner = self._app.fence.lease_owner(publisher)
        if running is None or (owner == running.lease != by) or (by is not None and owner not in (None, by)):
            return None
        if running.host == socket.gethostname():
            self._end_processes(running)
        self._conclude(running)
        self._app.fence.finished(running)
        return running

    def _end_processes(self, running: Running) -> None:
        """End what is left of an operation whose watcher is gone, and say in its record what that was."""
        killed = processes.kill_groups(running.processes)
        left = end_orphans(running.task_id, lock_path(self._app.settings.state_dir, running.publisher))
        self.note_ended(running.task_id, running.op_name, Ended(killed + left.ended, left.remaining))

    def _conclude(self, running: Running) -> None:
        """Give the task the end that its record has, or ``lost``."""
        if self.conclude_ended(running):
            return
        left = "the card may not be in the state it should be in"
        if running.slot == WORKFLOWS:
            Leashes(self._app.store).end(running.task_id, f"its workflow {running.task_id[:8]} is lost")
            left = "what it had started is being ended"
        self._app.fence.mark_needs_make_safe(
            running.publisher, f"the worker of {running.op_name}[{running.task_id}] died"
        )
        error = OperationLostError(
            f"{running.op_name} on {running.slot} is lost: its worker on {running.host} died or was cut off while it "
            f"ran; {left}",
            slot=running.slot,
            operation=running.op_name,
            session_id=running.task_id,
        )
        logger.error("%s", error)
        self.conclude(running, error, Outcome.LOST)

    def note_ended(self, task_id: str, op_name: str, found: Ended) -> None:
        """Say in a record, and log, which processes of its operation were ended after it."""
        if not found:
            return
        text = found.describe(op_name)
        logger.warning("%s[%s]: %s", op_name, task_id, text)
        if self._app.records.exists(task_id):
            self._app.records.append(Batch(task_id, f"reaper-{uuid()}", 0, [session.message(text, time.time())]))

    def conclude(self, running: Running, error: Exception, outcome: Outcome) -> bool:
        """Whether a task has got this end: what its dead process had sent last may come through only now.

        The record's end, which can be written once, decides.
        """
        known = self._app.records.exists(running.task_id)
        if known and not self._app.write_end(running.task_id, outcome, error):
            self.conclude_ended(running)
            return False
        self._app.end_unrun(_request_of(running), error, outcome)
        return True

    def conclude_forgotten(self, running: Running) -> None:
        """Give a task its end that is over, but runs by a Redis that has lost its newest data. By who has the lease."""
        if self.conclude_ended(running):
            return
        error = OperationLostError(
            f"{running.op_name} on {running.slot} is over, but Redis has forgotten how it ended (killed, or another "
            "one now?); its log file tells what it did",
            slot=running.slot,
            operation=running.op_name,
            session_id=running.task_id,
        )
        logger.error("%s", error)
        self.conclude(running, error, Outcome.LOST)

    def conclude_ended(self, running: Running) -> bool:
        """Whether a task had ended, in Celery or in its record alone; then both say so, and its chord is told.

        Its worker may have died at any moment after the end; what follows in its chain must not fail for that.
        """
        request = _request_of(running)
        if running.host == socket.gethostname():
            OutcomeSpool(self._app.settings).write(running.task_id, self._app.records)
        state = self._app.backend.get_state(running.task_id)
        if state in states.READY_STATES:
            self._count_in_chord(request, state)
            return True
        record = self._record(running.task_id)
        if record is not None and record.done:
            self._store_written_end(record, request)
            return True
        return False

    def _count_in_chord(self, request: Context, state: str) -> None:
        """Count a task that has ended among the members of its chord: its worker may have died between the two.

        A chord that has all its members has its body sent, if it was not sent before.
        """
        body = ((request.chord or {}).get("options") or {}).get("task_id")
        if body is None or self._app.records.exists(body):
            return
        result_backend.count_in_chord(self._app.backend, request, state)

    def _store_written_end(self, record: SessionHeader, request: Any) -> None:
        """The worker died after it had written the record's end and before Celery had stored it."""
        backend = self._app.backend
        task_id = record.session_id
        if record.success:
            backend.mark_as_done(task_id, self._app.records.read(task_id).to_dict(), request=request)
            chain = list(request.chain or ())
            next_id = (chain[-1].get("options") or {}).get("task_id") if chain else None
            if next_id and not self._app.records.exists(next_id):
                result_backend.fail_chain(backend, chain, _lost_step(record), state=states.FAILURE)
            return
        backend.mark_as_failure(task_id, _error_of(record), request=request)

    def _record(self, task_id: str) -> SessionHeader | None:
        try:
            return self._app.records.header(task_id)
        except RecordNotFoundError:
            return None

    def _sweep_waiting(self) -> list[str]:
        """Give up what was submitted, is claimed by nobody, and has no message any more."""
        started = self._clock()
        if started < self._rests_until:
            return []
        missing = self._without_message(time.time())
        self._rests_until = self._clock() + min(REST * (self._clock() - started), LONGEST_REST_S)
        ended = []
        for task_id, taken in missing.items():
            ended += self._try(task_id, partial(self._give_up, task_id, taken))
        return ended

    def _without_message(self, now: float) -> dict[str, bool]:
        """What was not submitted just now, is not claimed and has its message in no queue: whether it was taken.

        What a worker took just now is left out: it may be about to be claimed. A time that lies ahead is not just now:
        the clock was set back since.
        """
        oldest, newest = now - MESSAGE_GONE_S, now + MESSAGE_GONE_S
        late: list[str] = self._app.store.zrangebyscore(keys.WAITING, "-inf", oldest)  # type: ignore[assignment]
        late += self._app.store.zrangebyscore(keys.WAITING, f"({newest}", "inf")  # type: ignore[arg-type]
        if not late:
            return {}
        slots = self._app.records.slots_of(late)
        of_slot: dict[str, list[str]] = {}
        for task_id, slot in slots.items():
            of_slot.setdefault(slot, []).append(task_id)
        without_record = {task_id: False for task_id in late if task_id not in slots}
        missing = self._app.waiting.missing_of(of_slot)
        return without_record | {
            task_id: taken is not None
            for task_id, taken in missing.items()
            if taken is None or not oldest < taken <= newest
        }

    def _give_up(self, task_id: str, taken: bool) -> bool:
        """Whether a task without a message was given up. One that a worker took is sent again where that is possible.

        One that no worker took was removed by somebody: it stays removed.
        """
        record = self._record(task_id)
        ended = self._app.backend.get_state(task_id) in states.READY_STATES
        if record is None or record.status != "queued" or ended:
            self._app.store.zrem(keys.WAITING, task_id)
            if (
                record is not None and record.status == "queued"
            ):  # revoked while it waited; one that runs ends by itself
                self._app.write_end(task_id, Outcome.ABORTED)
            return False
        message, resent = self._app.records.kept_message(task_id)
        if taken and message is not None and resent < RESENDS:
            self._send_again(record, message)
            return False
        if not self._app.fence.give_up(task_id, operations.task_name(record.op_name)):
            return False
        error, outcome = _end_of_unrun(record, taken)
        logger.error("%s", error)
        if message is not None:
            self._app.fail_kept(message, error, outcome)
        else:
            request = Context(id=task_id, task=operations.task_name(record.op_name))
            self._app.end_unrun(request, error, outcome)
        return True

    def _send_again(self, record: SessionHeader, message: Any) -> None:
        """Send a message again that a worker took, and did not come to claim: it was killed, for example."""
        task_id = record.session_id
        self._app.resend(task_id, message)
        text = "its message was lost with the worker that took it; queued again"
        logger.warning("%s[%s] on %s: %s", record.op_name, task_id, record.slot, text)
        self._app.records.append(Batch(task_id, f"reaper-{uuid()}", 0, [session.message(text, time.time())]))


def _request_of(running: Running) -> Context:
    return Context({**running.request, "id": running.task_id})


def _end_of_unrun(record: SessionHeader, taken: bool) -> tuple[Exception, Outcome]:
    """The error and outcome of a task that never started: workers took its message in vain, or somebody removed it."""
    what = f"{record.op_name} on {record.slot}"
    fields = {"slot": record.slot, "operation": record.op_name, "session_id": record.session_id}
    if taken:
        text = f"{what} is lost: workers took its message {RESENDS + 1} times, and none started it"
        return OperationLostError(f"{text}; see the worker's log, and submit it again", fields), Outcome.LOST
    text = f"{what} did not run: its message was removed from the queue (a purge, or a command in Redis)"
    return OperationAbortedError(f"{text}; submit it again if it is still wanted", fields), Outcome.ABORTED


def _lost_step(record: SessionHeader) -> OperationLostError:
    return OperationLostError(
        f"the step after {record.op_name} on {record.slot} was never queued: the worker died between the two",
        slot=record.slot,
        after=record.session_id,
    )


def _error_of(record: SessionHeader) -> Exception:
    """The error that a record tells of."""
    told = dict(record.error or {})
    kind = getattr(errors, str(told.pop("type", "")), errors.OperationFailedError)
    return kind(told.pop("message", f"{record.op_name} on {record.slot} {record.outcome}"), told)
