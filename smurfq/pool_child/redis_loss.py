"""Writes the note and the header of a run again if Redis loses its data during the run.

Redis may be emptied, or start again from an older file. The worker still runs the operation and holds the slot's lease
and lock, so its note is true. The earlier contents of the record, and the messages that arrived before the note was
written again, are lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from celery.utils import uuid
from celery.utils.log import get_logger

from smurfq.core import session as events
from smurfq.core.session import Event, SessionHeader
from smurfq.store import Batch, Records, patiently
from smurfq.store.drain import DrainAnswer
from smurfq.store.fence import Fence, Running

logger = get_logger(__name__)


class RedisLoss:
    """Notices that Redis has lost the data of a run, and writes its note and header again."""

    def __init__(
        self,
        fence: Fence,
        records: Records,
        running: Running,
        record: SessionHeader,
        conclude: Callable[[Running], object],
    ) -> None:
        self._fence = fence
        self._records = records
        self._running = running
        self._record = replace(record)
        self._conclude = conclude  # writes the outcome of a run that is over, although Redis says that it is running
        self.seen = False

    def heed(self, event: Event) -> None:
        """Remember what an event sets in the header of the record."""
        if event["k"] == "header":
            for name, value in event["set"].items():
                setattr(self._record, name, value)

    def look(self) -> None:
        """Write the note of the run and the header of its record again, if they are gone. Passes on redis-py's errors.

        A Redis that has an older file again, or a replica that was behind, may name a task that has ended since. The
        messages of this run would then go into the record of that one.
        """
        publisher = self._running.publisher
        noted = self._fence.running(publisher)
        if noted is not None and noted.task_id == self._running.task_id:
            return
        if noted is not None and self._fence.lease_owner(publisher) == self._running.lease:
            self._conclude(noted)
        if self._fence.note_again(self._running, instead_of=noted):
            self._tell()
            self.restore()

    def restore(self) -> None:
        """Write the header of the record again if it is gone. Passes on redis-py's errors."""
        if self._records.restore(self._record, self._running.request):
            self._tell()

    def end(self, answer: DrainAnswer | None, *, published: bool) -> dict[str, Any]:
        """Say in the record what it lacks, and return the fields of its header that say whether it is complete.

        ``answer`` is the bridge's, or None if it did not answer. ``published`` says that the run may have sent messages
        to the bridge.
        """
        patiently(self.restore)
        if not published:
            if self.seen:
                self._say("Redis lost its data during the run: what this record had before is gone")
            return {"complete": not self.seen}
        ours = answer if answer is not None and answer.task_id == self._running.task_id else None
        missing = ours.unrecorded if ours is not None else 0
        fields: dict[str, Any] = {"complete": ours is not None and ours.complete and not self.seen}
        if self.seen:
            fields["lost"] = ours.lost if ours is not None else 0
            count = f"{missing}" if ours is not None else "an unknown number of"
            self._say(
                f"Redis lost its data during the run: {count} messages that reached the bridge are not in this "
                "record, and all else that it held before is gone"
            )
        elif missing:
            self._say(
                f"{missing} messages reached the bridge and are not in this record: Redis rejected or lost them, or "
                "no run was noted when they arrived"
            )
        if missing:
            fields["unrecorded"] = missing
        return fields

    def _say(self, text: str) -> None:
        batch = Batch(self._running.task_id, f"missing-{uuid()}", 0, [events.message(text, time.time())])
        patiently(lambda: self._records.append(batch))

    def _tell(self) -> None:
        if not self.seen:
            self.seen = True
            logger.warning(
                "Redis lost the data of %s, which goes on; its header is written again", self._record.op_name
            )
