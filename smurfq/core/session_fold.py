"""Builds a session record from the batches of its events."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from smurfq.core.session import (
    FILES_KEPT,
    HEADER_FIELDS,
    LOG_TAIL_CHARS,
    MESSAGES_KEPT,
    STATUSES,
    Event,
    SessionRecord,
)

_FINAL = frozenset({"status", "success", "outcome", "error", "end_time"})


class Fold:
    """Builds a record from batches of events. Each batch is applied once."""

    def __init__(self, record: SessionRecord) -> None:
        self.record = record
        self._seen: dict[str, int] = {}
        self._log: deque[str] = deque([record.log] if record.log else [])
        self._log_chars = len(record.log)

    def add(self, writer: str, number: int, batch: Iterable[Event]) -> bool:
        """Apply a batch. Return false if it was applied before."""
        if number <= self._seen.get(writer, -1):
            return False
        self._seen[writer] = number
        for event in batch:
            self._apply(event)
        return True

    def _apply(self, event: Event) -> None:
        record = self.record
        kind, time = event.get("k"), event.get("t")
        match kind:
            case "message":
                record.messages.append([time, event["text"]])
                record.messages_total += 1
                if len(record.messages) > 2 * MESSAGES_KEPT:
                    del record.messages[:-MESSAGES_KEPT]
            case "data":
                record.data.update(event.get("set", {}))
                for key in event.get("remove", ()):
                    record.data.pop(key, None)
            case "log":
                self._add_log(event["text"])
            case "file":
                self._add_file(event["file"])
            case "file_found":
                self._change_file(event["path"], event["set"])
            case "stage":
                record.stages.append([event["name"], time])
            case "header":
                self._set_header(event["set"])
            case _:
                pass  # written by a later version of smurfq

    def _add_file(self, file: dict[str, Any]) -> None:
        """Add a file. A g3 file may be found on disk and be announced by the smurf server: it is one file."""
        if file.get("kind") == "g3_file":
            for known in self.record.files:
                if known.get("path") == file.get("path"):
                    known.update(file)
                    return
        self.record.files.append(file)
        del self.record.files[:-FILES_KEPT]

    def _change_file(self, path: str, change: Mapping[str, Any]) -> None:
        for file in self.record.files:
            if file.get("path") == path:
                file.update(change)

    def _add_log(self, text: str) -> None:
        self._log.append(text)
        self._log_chars += len(text)
        while self._log_chars - len(self._log[0]) >= LOG_TAIL_CHARS:
            self._log_chars -= len(self._log.popleft())

    def _set_header(self, values: Mapping[str, Any]) -> None:
        record = self.record
        final = record.done
        for name, value in values.items():
            if name not in HEADER_FIELDS:
                continue
            if final and name in _FINAL:
                continue
            if name == "status" and not _forward(record.status, value):
                continue
            setattr(record, name, value)

    def finish(self) -> SessionRecord:
        """Return the current record, with its messages and log truncated to the lengths that are kept."""
        del self.record.messages[:-MESSAGES_KEPT]
        self.record.log = "".join(self._log)[-LOG_TAIL_CHARS:]
        return self.record


def _forward(old: str, new: str) -> bool:
    """Return whether the status ``new`` may follow ``old``. A status never goes back."""
    if new not in STATUSES:
        return False
    return STATUSES.index(new) >= STATUSES.index(old) if old in STATUSES else True
