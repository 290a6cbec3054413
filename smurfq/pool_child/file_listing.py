"""Lists a run's files in its record, by the names that they have on this host when the run has ended."""

from __future__ import annotations

import time
from pathlib import Path

from celery.utils import uuid
from celery.utils.log import get_logger

from smurfq.core import session as events
from smurfq.core.session import Event
from smurfq.pool_child.job import Job
from smurfq.pool_child.written_files import changes, g3_files
from smurfq.store import Batch, Records, patiently

logger = get_logger(__name__)


def list_files(records: Records, timestreams: Path, job: Job, started: float) -> None:
    """Correct the paths that a run has registered, and add the g3 files that it has streamed since ``started``."""
    if not job.card:
        return
    registered = [file["path"] for file in patiently(lambda: records.files(job.task_id)) if "path" in file]
    found = file_events(timestreams, job, registered, started, time.time())
    if found:
        batch = Batch(job.task_id, f"files-{uuid()}", 0, found)
        patiently(lambda: records.append(batch))


def file_events(timestreams: Path, job: Job, registered: list[str], started: float, now: float) -> list[Event]:
    """Return the events that correct and complete the list of the ``registered`` files."""
    found: list[Event] = []
    try:
        found += [events.file_found(path, change, now) for path, change in changes(registered)]
        if job.drives_card and job.stream_id is not None:
            streamed = map(str, g3_files(timestreams, job.stream_id, started, now))
            new = [path for path in streamed if path not in registered]
            found += [events.file_registered({"path": path, "kind": "g3_file"}, now) for path in new]
    except OSError as cause:
        logger.warning("cannot look for the files of %s[%s]: %s", job.op_name, job.task_id, cause)
    return found
