"""Limits the snapshots of each run to five a second. The first is published at once, and the last one always."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from redis.exceptions import ResponseError

from smurfq.bridge.complaints import Complaints

INTERVAL_S = 0.2
REST = 10  # the next snapshot waits at least so many times as long as this one took: messages must not wait for it


class SnapshotPace:
    """Calls ``publish`` with the task ids of the runs whose records have changed, when it is due."""

    def __init__(
        self,
        publish: Callable[[str], object],
        complaints: Complaints,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._publish = publish
        self._complaints = complaints
        self._clock = clock
        self._earliest: dict[str, float] = {}  # when the next snapshot of a run may be published
        self._due: dict[str, float] = {}

    def touched(self, task_ids: Iterable[str]) -> None:
        """Note that the records of these runs have changed."""
        now = self._clock()
        for task_id in task_ids:
            if task_id not in self._due:
                self._due[task_id] = max(now, self._earliest.get(task_id, now))

    def wait_s(self, longest_s: float) -> float:
        """Return the time until a snapshot is due, ``longest_s`` at most."""
        if not self._due:
            return longest_s
        return min(longest_s, max(0.0, min(self._due.values()) - self._clock()))

    def publish_due(self) -> None:
        """Publish the snapshots that are due."""
        if not self._due:
            return
        now = self._clock()
        for task_id in [task_id for task_id, due in self._due.items() if due <= now]:
            self.publish_now(task_id)
        for task_id in [task_id for task_id, earliest in self._earliest.items() if earliest < now]:
            del self._earliest[task_id]

    def publish_now(self, task_id: str) -> None:
        """Publish the snapshot of a run if its record has changed since the last one."""
        if task_id not in self._due:
            return
        started = self._clock()
        try:
            self._publish(task_id)
        except ResponseError as cause:  # the record itself is written all the same
            self._complaints.add("no snapshot", f"Redis rejected that of {task_id}: {cause}")
        ended = self._clock()
        self._earliest[task_id] = ended + max(INTERVAL_S, REST * (ended - started))
        del self._due[task_id]
