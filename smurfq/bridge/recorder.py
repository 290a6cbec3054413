"""Attributes batches of messages, writes them, and commits the new state once they are written."""

from __future__ import annotations

import time
from collections.abc import Sequence

from redis.exceptions import ResponseError

from smurfq.bridge.attribution import ArrivedMessage, Changes, G3File, attribute
from smurfq.bridge.complaints import Complaints
from smurfq.bridge.known_runs import KnownRuns
from smurfq.bridge.redis_retry import RedisRetry
from smurfq.bridge.steps import Unowned
from smurfq.bridge.writer import Writer
from smurfq.core.sequence import Sequences
from smurfq.store.bridge import Counters
from smurfq.store.feeds import G3_FILES, Feeds


class Recorder:
    """Keeps the numbering of all publishers, the known runs, and the count of messages that no run published."""

    def __init__(
        self,
        *,
        runs: KnownRuns,
        writer: Writer,
        feeds: Feeds,
        retry: RedisRetry,
        publishers: frozenset[str],
        counters: Counters,
        complaints: Complaints,
    ) -> None:
        self.runs = runs
        self.unowned = Unowned()
        self._writer = writer
        self._feeds = feeds
        self._retry = retry
        self._publishers = publishers
        self._counters = counters
        self._complaints = complaints
        self._sequences = Sequences()

    def restore(self) -> None:
        """Continue the publishers' numbering from where an earlier bridge stood."""
        for source, position in self._retry(self._writer.positions.read).items():
            self._sequences.restore(source, position)

    def record(self, batch: Sequence[ArrivedMessage], notice: str = "") -> list[str]:
        """The ids of the runs whose records got something of ``batch``, or ``notice``, which all present runs get.

        If another run has started since Redis was asked, or the present one has ended, nothing is written, and the
        batch is attributed again.

        Raises
        ------
        StoreUnavailableError
            The bridge is stopping, and Redis is away. The state is as it was before.
        """
        publishers = self._publishers if notice else {arrived.publisher for arrived in batch}
        known = None if notice else self.runs.known(publishers)
        while True:
            if known is None:
                known = self._retry(lambda: self.runs.look_up(publishers))
            now = time.time()  # the look-up may have waited for Redis
            changes = attribute(batch, known, self._sequences, now, notice)
            events = [(task_id, change.events) for task_id, change in changes.runs.items()]
            published = {task_id: change.messages for task_id, change in changes.runs.items()}
            positions = changes.sequences.positions()
            rejected = self._writer.write(events, positions, known.expected, published, changes.files)
            if rejected is not None:
                self._commit(changes, rejected)
                return list(changes.runs)
            known = None

    def _commit(self, changes: Changes, rejected: set[str]) -> None:
        """Take over what a batch changed, which is written but for the ``rejected`` runs."""
        counters = self._counters
        self._sequences.commit(changes.sequences)
        for task_id, change in changes.runs.items():
            if task_id in rejected:
                counters.refused += change.messages
                self.runs.commit(change.rejected())
            else:
                counters.applied += change.messages
                self.runs.commit(change.written())
        counters.applied += changes.empty
        counters.lost += changes.lost
        counters.duplicate += changes.duplicates
        counters.idle += len(changes.unowned)
        counters.server_files += len(changes.g3_files)
        for publisher, arrival in changes.unowned:
            self.unowned.add(publisher, arrival + time.monotonic() - time.time())
        for file in changes.g3_files:
            self._announce(file)
        counters.malformed += len(changes.malformed)
        for hint in changes.malformed:
            self._complaints.add("unusable payload", hint)

    def _announce(self, file: G3File) -> None:
        """Add a file to the feed of g3 files."""

        def append() -> str:
            return self._feeds.append(G3_FILES, file.publisher, file.time, file.to_block())

        try:
            self._retry(append)
        except ResponseError as cause:
            self._complaints.add("rejected by Redis", f"{cause}; for the feed {G3_FILES}")
