"""Slot ids, and the queue and worker names made of them.

Every string that two processes must agree on is made here or in ``keys.py``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from smurfq.errors import ConfigError

Lane = Literal["control", "state", "emergency"]

WORKFLOWS = "workflows"  # in the place of a slot: the queue of workflows, and what their records name as the slot

_SLOT_ID = re.compile(r"crate(\d+)slot(\d+)")


@dataclass(frozen=True, order=True)
class SlotId:
    """One readout card: its crate's number and its slot in the crate, as in ``crate1slot2``."""

    crate: int
    slot: int

    @classmethod
    def parse(cls, text: str) -> SlotId:
        """The slot that ``text`` names.

        Raises
        ------
        ConfigError
            ``text`` is not of the form ``crate<N>slot<M>``.
        """
        match = _SLOT_ID.fullmatch(text)
        if match is None:
            raise ConfigError(f"a slot id looks like 'crate1slot2'; got {text!r}", got=text)
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"crate{self.crate}slot{self.slot}"


def queue_name(slot: str, lane: Lane) -> str:
    """The Celery queue of a slot's lane: ``crate1slot2``, ``crate1slot2.state``, ``crate1slot2.emergency``."""
    return slot if lane == "control" else f"{slot}.{lane}"


def worker_name(slot: str, lane: Lane) -> str:
    """The Celery node name of the worker that serves a lane; the control worker serves emergencies too."""
    return f"state@{slot}" if lane == "state" else f"smurf@{slot}"


def publisher_id(slot: str, lane: Lane) -> str:
    """The ``SMURFPUB_ID`` of an operation's process.

    The state lane runs beside the control lane, so its messages need an id of their own
    or they would land in the other's record.
    """
    return f"{slot}.state" if lane == "state" else slot


def workflow_seat(number: int) -> str:
    """The name under which the ``number``-th of the workflows that run at once runs; a lease and a lock go by it."""
    return f"{WORKFLOWS}.{number}"


def workflow_seats(count: int) -> list[str]:
    """The seats of a site that runs ``count`` workflows at once."""
    return [workflow_seat(number) for number in range(1, count + 1)]


def workflow_node(seat: str) -> str:
    """The Celery node name of the worker that serves a seat."""
    return f"{seat}@site"
