"""A claimed run: all that the pool child knows of the one run that it has claimed and not finished."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

from celery.app.task import Context
from celery.utils.log import get_logger

from smurfq import operations
from smurfq.app import SmurfqApp
from smurfq.core import session as events
from smurfq.core.process_id import ProcessId
from smurfq.core.session import SessionHeader
from smurfq.operations import Operation
from smurfq.pool_child.context import WorkerContext
from smurfq.pool_child.leash import Leash
from smurfq.store import Batch, patiently
from smurfq.store.fence import Running
from smurfq.store.leashes import HEADER, Leashes

logger = get_logger(__name__)


@dataclass
class ClaimedRun:
    """A run that this pool child has claimed.

    ``claiming`` makes it, and the task's last hook finishes it. Between them ``card_lock`` sets ``lock`` and
    ``orphans``, and the check of the parameters replaces ``params``.
    """

    app: SmurfqApp
    worker: WorkerContext
    request: Context  # Celery's
    running: Running  # its note in Redis
    record: SessionHeader  # the header of its record as it was claimed
    params: dict[str, Any]
    lock: int | None = None  # the descriptor of the card's file lock
    orphans: str | None = None  # the orphans that were ended before it, in words

    @property
    def task_id(self) -> str:
        """The Celery task's id, which is that of the session."""
        return self.running.task_id

    @property
    def operation(self) -> Operation:
        """The operation's row in the operations table."""
        return operations.operation(self.running.op_name)

    @property
    def leash(self) -> Leash | None:
        """The leash that the operation is on, if a workflow started it."""
        leash_id = getattr(self.request, HEADER, None)
        return Leash(str(leash_id), Leashes(self.app.store)) if leash_id else None

    def note(self, writer: str, text: str) -> None:
        """Log a line, and add it to the record as a message."""
        logger.warning("%s[%s]: %s", operations.task_name(self.running.op_name), self.task_id, text)
        batch = Batch(self.task_id, writer, 0, [events.message(text, time.time())])
        patiently(lambda: self.app.records.append(batch))

    def unlock(self) -> None:
        """Release the card's file lock, if it is taken."""
        descriptor, self.lock = self.lock, None
        if descriptor is not None:
            os.close(descriptor)

    def finish(self) -> None:
        """Release the card, and remove the note of the run in Redis."""
        self.unlock()
        patiently(lambda: self.app.fence.finished(self.running))


def process_ids(pid: int) -> list[ProcessId]:
    """Return the identity of a process as a list, which is empty if the process is gone."""
    who = ProcessId.of(pid)
    return [who] if who else []
