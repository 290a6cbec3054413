"""Keeps the outcomes of operations in local files until their records have them.

An operation may end while Redis is away, and its pool child may be killed before Redis is back. The process that then
ends the task on this host finds here the outcome, and the events that were not in the record. Blocks of feeds are not
kept.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from celery.utils import uuid
from celery.utils.log import get_logger

from smurfq.config import Settings
from smurfq.core.jsonsafe import dumps, loads
from smurfq.core.private_files import make_folder
from smurfq.core.session import Event
from smurfq.store import Batch, Records

logger = get_logger(__name__)


class OutcomeSpool:
    """The kept outcomes of a host, a file for each task."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.state_dir.absolute() / "ends"
        self._kept_s = settings.redis.result_expires_s

    def keep(self, task_id: str, unwritten: Sequence[Batch], end: Event) -> None:
        """Keep the event that ends a record, and the batches that may not be in it; nothing is kept on a full disk."""
        path = self._path(task_id)
        new = path.with_suffix(".new")
        try:
            make_folder(self._folder)
            self._remove_old()
            new.write_text(dumps({"batches": [asdict(batch) for batch in unwritten], "end": end}))
            new.replace(path)
        except OSError as cause:
            logger.warning("the outcome of %s cannot be kept in %s: %s", task_id, self._folder, cause)

    def has(self, task_id: str) -> bool:
        """Return whether the outcome of a task is kept."""
        return self._path(task_id).exists()

    def forget(self, task_id: str) -> None:
        """Remove the file of a task whose record has its outcome."""
        self._path(task_id).unlink(missing_ok=True)

    def write(self, task_id: str, records: Records) -> None:
        """Write the kept outcome, if there is one, into the record of a task whose processes are gone."""
        try:
            kept = loads(self._path(task_id).read_text())
            batches, end = [Batch(**batch) for batch in kept["batches"]], kept["end"]
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, KeyError) as cause:
            logger.error("the kept outcome in %s cannot be read and is ignored: %s", self._path(task_id), cause)
            return
        if records.exists(task_id):
            records.append(*(batch for batch in batches if not records.is_written(batch)))
            if records.end(task_id, f"end-{uuid()}", end):
                logger.warning("%s had ended; its outcome was written to its record from %s", task_id, self._folder)
        self.forget(task_id)

    def _path(self, task_id: str) -> Path:
        return self._folder / f"{task_id}.json"

    def _remove_old(self) -> None:
        """Remove the files of tasks whose records have expired."""
        oldest = time.time() - self._kept_s
        for path in self._folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < oldest:
                    path.unlink()
