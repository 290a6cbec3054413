"""Writes batches of events exactly once, even if Redis goes away in between."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence

from redis.exceptions import ResponseError

from smurfq.bridge.complaints import Complaints
from smurfq.bridge.redis_retry import RedisRetry
from smurfq.core.sequence import Source
from smurfq.core.session import Event
from smurfq.core.strands import Position
from smurfq.store.archive_list import ArchiveList, FileMessage
from smurfq.store.bridge import Positions
from smurfq.store.conditional import NOTHING, Conditional
from smurfq.store.connection import Client
from smurfq.store.record_batches import Batch
from smurfq.store.records import Records


class Writer:
    """The bridge's only writer of records and of the archive list. ``client`` must not retry by itself.

    Without an ``archive``, no messages are kept for the archive.
    """

    def __init__(
        self,
        client: Client,
        records: Records,
        positions: Positions,
        retry: RedisRetry,
        complaints: Complaints,
        archive: ArchiveList | None = None,
    ) -> None:
        self._client = client
        self._records = records
        self.positions = positions
        self._archive = archive
        self._retry = retry
        self._complaints = complaints
        self._name = f"bridge-{os.getpid()}-{secrets.token_hex(4)}"
        self._number = 0
        self._conditional = Conditional(client)

    def write(
        self,
        events: list[tuple[str, list[Event]]],
        positions: Mapping[Source, Position],
        expected: Mapping[str, str] = NOTHING,
        published: Mapping[str, int] | None = None,
        files: Sequence[FileMessage] = (),
    ) -> set[str] | None:
        """Write events to the records of runs, and return the task ids of the runs whose records Redis rejected.

        Parameters
        ----------
        events
            The events of each run, by task id.
        positions
            Where the numbering of each source stands.
        expected
            The text that each key must have; empty if it must not exist.
        published
            How many messages of publishers the events were made of, by task id.
        files
            The messages that announce a file. If the answer to a write is lost, the archive list may get them twice;
            the registrar registers each file once.

        Returns
        -------
        set of str, or None
            The runs whose events are not written; all else is. None if a key did not have the text that was expected,
            in which case nothing is written.

        Raises
        ------
        StoreUnavailableError
            The bridge is stopping, and Redis is away.
        """
        counts = published or {}
        batches = [self._batch(task_id, of_task, counts.get(task_id, 0)) for task_id, of_task in events]
        try:
            if not self._write_once(batches, positions, expected, files):
                return None
        except ResponseError:
            return self._write_singly(batches, positions, files)
        return set()

    def _batch(self, task_id: str, events: list[Event], published: int) -> Batch:
        self._number += 1
        return Batch(task_id, self._name, self._number, events, published)

    def _write_singly(
        self, batches: list[Batch], positions: Mapping[Source, Position], files: Sequence[FileMessage]
    ) -> set[str]:
        """Write each batch by itself, to find the one that Redis rejected; the others may be written already."""
        refused = set()
        for batch in batches:
            try:
                self._write_once([batch], {}, tried=True)
            except ResponseError as cause:
                refused.add(batch.task_id)
                self._complaints.add("rejected by Redis", f"{cause}; for the record {batch.task_id}")
        try:
            self._write_once([], positions, files=files)
        except ResponseError as cause:
            others = [self.positions.key, *([self._archive.waiting_key] if self._archive else [])]
            self._complaints.add("rejected by Redis", f"{cause}; for {' or '.join(others)}")
        return refused

    def _write_once(
        self,
        batches: list[Batch],
        positions: Mapping[Source, Position],
        expected: Mapping[str, str] = NOTHING,
        files: Sequence[FileMessage] = (),
        *,
        tried: bool = False,
    ) -> bool:
        def attempt() -> bool:
            nonlocal tried
            # After a lost connection, nobody knows whether the write was done.
            left = [batch for batch in batches if not (tried and self._records.is_written(batch))]
            done = tried and bool(batches) and not left
            tried = True
            with self._client.pipeline(transaction=True) as pipe:
                for batch in left:
                    self._records.queue(pipe, batch)
                self.positions.queue(pipe, positions)
                if self._archive is not None and not done:
                    self._archive.queue(pipe, files)
                return self._conditional(pipe, NOTHING if done else expected)

        return self._retry(attempt)
