"""The state of one run for a reader: the position up to which it has read, and the run's header. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from smurfq.client.final import ended_by_meta
from smurfq.core.session import Event, SessionHeader
from smurfq.store.records import BEGINNING, Update

SETTLE_S = 1.0  # how long a record may lag behind Celery's final metadata


@dataclass
class RunState:
    """The state of a run for a reader. ``position`` is that of the newest batch that was read.

    ``header`` is the last read header; None if there is no record.
    """

    id: str
    position: str = BEGINNING
    header: SessionHeader | None = None
    look_at: float = 0.0  # when to read the header again if no event comes
    _numbers: dict[str, int] = field(default_factory=dict, init=False)  # number of the newest batch of each writer
    _final_since: float | None = field(default=None, init=False)

    @property
    def over(self) -> bool:
        """True if the run has ended."""
        return self.header is not None and self.header.done

    def take(self, updates: Iterable[Update]) -> list[Event]:
        """Mark batches as read; return their events, without those of a batch that a writer wrote twice."""
        events: list[Event] = []
        for update in updates:
            self.position = update.position
            if update.number > self._numbers.get(update.writer, -1):
                self._numbers[update.writer] = update.number
                events += update.events
        return events

    def see(self, header: SessionHeader | None, final_meta: Mapping[str, Any] | None, now: float) -> None:
        """Store the header of the run, and Celery's metadata if it says that the task has ended.

        The record takes precedence. Celery's metadata is used if there is no record, or if the record has no end
        ``SETTLE_S`` later: if a task was revoked in its queue, no worker writes its end.
        """
        self.header = header
        if final_meta is None or self.over:
            self._final_since = None
            return
        self._final_since = now if self._final_since is None else self._final_since
        if header is None or now - self._final_since >= SETTLE_S:
            self.header = ended_by_meta(header or SessionHeader(self.id), dict(final_meta))
