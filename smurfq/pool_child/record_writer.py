"""Writes an operation's events to its record in a thread of its own, so that an operation never waits for Redis."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from smurfq.core.progress import progress_of
from smurfq.core.session import Event
from smurfq.core.stages import words
from smurfq.store import Batch, Records, best_effort, patiently
from smurfq.store.feeds import Feeds
from smurfq.store.snapshot import Snapshots

EVENTS_A_BATCH = 500
EVENTS_KEPT = 200_000  # while Redis is away
SNAPSHOT_EVERY_S = 0.2
PROGRESS_EVERY_S = 1.0
_PROGRESS_CHARS = 300
_CLOSE = object()


class RecordWriter:
    """One operation's writer.

    ``records`` must not retry by themselves: a batch whose answer was lost is looked for before it is written again.
    ``on_progress`` is called about once a second with a line that says how far the operation is.
    """

    def __init__(
        self,
        task_id: str,
        op_name: str,
        records: Records,
        snapshots: Snapshots,
        feeds: Feeds,
        on_progress: Callable[[str], None],
    ) -> None:
        self._task_id = task_id
        self._op_name = op_name
        self._records = records
        self._snapshots = snapshots
        self._feeds = feeds
        self._on_progress = on_progress
        self._events: queue.Queue[Any] = queue.Queue()
        self._writing: Batch | None = None
        self._writer = f"worker-{os.getpid()}-{time.monotonic_ns():x}"
        self._number = 0
        self._snapshot_due = False
        self._next_snapshot = self._next_progress = 0.0
        self._closing = threading.Event()
        self.dropped = 0
        self.last_stage: str | None = None  # of the operation's own
        self._thread = threading.Thread(target=self._run, name="record-writer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def add(self, event: Event) -> None:
        """Write an event soon; the pieces of the log go first when too much waits for Redis."""
        if event["k"] == "stage" and not event["name"].startswith("abort: "):
            self.last_stage = event["name"]
        if self._events.qsize() >= EVENTS_KEPT and event["k"] == "log":
            self.dropped += 1
            return
        self._events.put(event)

    def unwritten(self) -> list[Batch]:
        """Return the batches of events that may not be in the record yet; called when no event is added any more."""
        with self._events.mutex:
            waiting = [event for event in self._events.queue if event is not _CLOSE]
        writing = self._writing
        batches = [waiting[first : first + EVENTS_A_BATCH] for first in range(0, len(waiting), EVENTS_A_BATCH)]
        return [
            *([writing] if writing is not None else []),
            *(
                Batch(self._task_id, self._writer, number, [event for event in batch if event["k"] != "feed"])
                for number, batch in enumerate(batches, self._number + 1)
            ),
        ]

    def close(self, timeout_s: float | None = None) -> bool:
        """Wait for Redis for at most ``timeout_s``, and return whether all events are written."""
        self._closing.set()
        self._events.put(_CLOSE)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        open_ = True
        while open_:
            batch, open_ = self._collect()
            if batch:
                self._write(batch)
            self._show(last=not open_)

    def _collect(self) -> tuple[list[Event], bool]:
        """Return the events that wait, and whether more may come; wait for one until a snapshot or progress is due."""
        batch: list[Event] = []
        try:
            item = self._events.get(timeout=self._patience_s())
            while True:
                if item is _CLOSE:
                    return batch, False
                batch.append(item)
                if len(batch) >= EVENTS_A_BATCH:
                    break
                item = self._events.get_nowait()
        except queue.Empty:
            pass
        return batch, True

    def _patience_s(self) -> float:
        now = time.monotonic()
        due = self._next_snapshot if self._snapshot_due else self._next_progress
        return max(0.0, due - now)

    def _write(self, batch: list[Event]) -> None:
        self._number += 1
        feeds = [event for event in batch if event["k"] == "feed"]
        written = Batch(self._task_id, self._writer, self._number, [e for e in batch if e["k"] != "feed"])

        tried = False

        def write() -> None:
            nonlocal tried
            if written.events and not (tried and self._records.is_written(written)):
                tried = True
                self._records.append(written)
            for event in feeds:
                self._feeds.append(event["name"], event["slot"], event["t"], event["data"])

        self._writing = written
        patiently(write)
        self._writing = None
        self._snapshot_due = True

    def _show(self, *, last: bool) -> None:
        now = time.monotonic()
        with best_effort(f"no snapshot of {self._task_id}"):
            if self._snapshot_due and now >= self._next_snapshot and not last:
                self._snapshot_due = False
                self._next_snapshot = now + SNAPSHOT_EVERY_S
                self._snapshots.publish(self._task_id)
            if now >= self._next_progress and not last:
                self._next_progress = now + PROGRESS_EVERY_S
                text = _progress_text(self._op_name, self._records.tail(self._task_id, 10))
                if text:
                    self._on_progress(text)


def _progress_text(op_name: str, tail: list[Event]) -> str:
    """Return one line that says how far an operation is: its newest stage and message."""
    stage, message = progress_of(tail)
    parts = [f"[{words(op_name, stage)}]" if stage else "", message or ""]
    return " ".join(part for part in parts if part)[:_PROGRESS_CHARS]
