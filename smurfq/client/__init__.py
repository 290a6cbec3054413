"""The Python client: submits operations, follows and ends runs, reads records. It does not need pysmurf.

>>> from smurfq.client import Slot
>>> run = Slot("crate1slot2").submit("take_iv", tag="cal")  # doctest: +SKIP
>>> for update in run.follow():  # doctest: +SKIP
...     print(update)
>>> run.record().data  # doctest: +SKIP

``connection`` connects to a site. ``run`` is one run of an operation; ``slot`` and ``slots`` are the hardware.
``run_reader`` reads the events of runs and keeps a ``run_state`` of each; ``following`` converts the events to
``updates``. ``waiting`` explains why a run has not started yet, ``status`` describes a slot, and ``final`` the end of a
run. ``batch`` submits several operations in one step.
"""

from __future__ import annotations

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
    QueueUpdate,
    RecordUpdate,
    StageUpdate,
    StatusUpdate,
    StoreUpdate,
)

__all__ = [
    "Answer",
    "DataUpdate",
    "DoneUpdate",
    "FileUpdate",
    "Held",
    "LogUpdate",
    "MessageUpdate",
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
    "submit_all",
]
