"""The Python client: submits operations, follows and ends runs, reads records. Needs no pysmurf.

>>> from smurfq.client import Slot
>>> run = Slot("crate1slot2").submit("take_iv", tag="cal")  # doctest: +SKIP
>>> for update in run.follow():  # doctest: +SKIP
...     print(update)
>>> run.record().data  # doctest: +SKIP

``connection`` is the way to a site, ``run`` one run of an operation, ``slot`` and ``slots`` what can be asked
of hardware, ``following`` the subscription, ``updates`` what it yields, ``waiting`` why a run has not started
yet, ``status`` what a slot is doing, ``batch`` several submissions in one step, ``final`` how a run ended.
"""

from __future__ import annotations

from collections.abc import Iterator

from smurfq.client.batch import Submission, submit_all
from smurfq.client.run import Answer, Run
from smurfq.client.slot import Held, Priority, Slot
from smurfq.client.slots import Slots
from smurfq.client.status import RunStatus, SlotStatus, WorkerStatus
from smurfq.client.updates import (
    DataUpdate,
    DoneUpdate,
    FileUpdate,
    LogUpdate,
    MessageUpdate,
    MetadataUpdate,
    QueueUpdate,
    RecordUpdate,
    StageUpdate,
    StatusUpdate,
    StoreUpdate,
)
from smurfq.config import Settings
from smurfq.core.session import SessionRecord

__all__ = [
    "Answer",
    "DataUpdate",
    "DoneUpdate",
    "FileUpdate",
    "Held",
    "LogUpdate",
    "MessageUpdate",
    "MetadataUpdate",
    "Priority",
    "QueueUpdate",
    "RecordUpdate",
    "Run",
    "RunStatus",
    "Slot",
    "SlotStatus",
    "Slots",
    "StageUpdate",
    "StatusUpdate",
    "StoreUpdate",
    "Submission",
    "WorkerStatus",
    "abort",
    "follow",
    "record",
    "stop",
    "submit_all",
    "wait",
]


def record(run_id: str, settings: Settings | None = None) -> SessionRecord:
    """The session record of a run; see ``Run.record``."""
    return Run(run_id, settings).record()


def follow(run_id: str, timeout: float | None = None, settings: Settings | None = None) -> Iterator[RecordUpdate]:
    """All that happens to a run; see ``Run.follow``."""
    return Run(run_id, settings).follow(timeout)


def wait(
    run_id: str,
    timeout: float | None = None,
    settings: Settings | None = None,
    *,
    raise_on_failure: bool = False,
) -> SessionRecord:
    """The final record of a run; see ``Run.wait``."""
    return Run(run_id, settings).wait(timeout, raise_on_failure=raise_on_failure)


def stop(run_id: str, by: str | None = None, reason: str = "", settings: Settings | None = None) -> Answer:
    """Ask a run to end in good order; see ``Run.stop``."""
    return Run(run_id, settings).stop(by, reason)


def abort(
    run_id: str,
    by: str | None = None,
    reason: str = "",
    settings: Settings | None = None,
    *,
    grace_s: float | None = None,
    wait_s: float | None = None,
) -> Answer:
    """Ask a run to end at once; see ``Run.abort``."""
    return Run(run_id, settings).abort(by, reason, grace_s=grace_s, wait_s=wait_s)
