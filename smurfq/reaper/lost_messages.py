"""Finds runs that wait without a message in a queue, sends their messages again, or gives them up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from celery import states
from celery.app.task import Context
from celery.utils import uuid
from celery.utils.log import get_logger

from smurfq import operations
from smurfq.app import SmurfqApp
from smurfq.core import keys, session
from smurfq.core.session import Outcome, SessionHeader
from smurfq.reaper.lost_errors import message_gone
from smurfq.store import Batch

logger = get_logger(__name__)

MESSAGE_GONE_S = 15.0  # a run that was submitted this long ago, is not claimed and has no message has lost it
REST = 20  # times as long as a search took, before the next one: searching must not be all that is done
LONGEST_REST_S = 30.0
RESENDS = 3  # of a message that workers took and never claimed; then its run is lost


class LostMessages:
    """Searches all that waits, with a rest between two searches."""

    def __init__(self, app: SmurfqApp, clock: Callable[[], float]) -> None:
        self._app = app
        self._clock = clock
        self._rests_until = 0.0

    def found(self) -> Iterator[tuple[str, Callable[[], bool]]]:
        """The runs whose message is gone, each with the function that sends it again or gives the run up.

        The function returns whether the run was given up.
        """
        started = self._clock()
        if started < self._rests_until:
            return
        missing = self._missing(time.time())
        self._rests_until = self._clock() + min(REST * (self._clock() - started), LONGEST_REST_S)
        for task_id, was_taken in missing.items():
            yield task_id, partial(self._resend_or_give_up, task_id, was_taken)

    def _missing(self, now: float) -> dict[str, bool]:
        """The runs without a message, and whether a worker took it.

        Runs that were submitted just now are left out, and so are those whose message a worker took just now: it may be
        about to claim it. A time that lies ahead is not just now: the clock has been set back since.
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

    def _resend_or_give_up(self, task_id: str, was_taken: bool) -> bool:
        """Send a message again if a worker took it. A message that no worker took was removed, and stays removed."""
        record = self._app.records.known_headers([task_id]).get(task_id)
        if record is None or record.status != "queued":
            self._app.store.zrem(keys.WAITING, task_id)  # it has started, and its worker ends it
            return False
        if self._app.backend.get_state(task_id) in states.READY_STATES:
            self._app.store.zrem(keys.WAITING, task_id)
            self._app.write_end(task_id, Outcome.ABORTED)  # it was revoked while it waited
            return False
        message, resent = self._app.records.kept_message(task_id)
        if was_taken and message is not None and resent < RESENDS:
            self._resend(record, message)
            return False
        return self._give_up(record, message, was_taken)

    def _resend(self, record: SessionHeader, message: Any) -> None:
        task_id = record.session_id
        self._app.resend(task_id, message)
        text = "its message was lost with the worker that took it; queued again"
        logger.warning("%s[%s] on %s: %s", record.op_name, task_id, record.slot, text)
        self._app.records.append(Batch(task_id, f"reaper-{uuid()}", 0, [session.message(text, time.time())]))

    def _give_up(self, record: SessionHeader, message: Any, was_taken: bool) -> bool:
        """Give a run its outcome, unless a worker claims it now."""
        task_id, name = record.session_id, operations.task_name(record.op_name)
        if not self._app.fence.give_up(task_id, name):
            return False
        error, outcome = message_gone(record, RESENDS + 1 if was_taken else 0)
        logger.error("%s", error)
        if message is not None:
            self._app.fail_kept(message, error, outcome)
        else:
            self._app.end_unrun(Context(id=task_id, task=name), error, outcome)
        return True
