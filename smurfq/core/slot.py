"""Slot ids, and the names of queues and workers that are derived from them.

Every string that two processes must agree on is made here or in ``keys.py``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from smurfq.errors import ConfigError

Lane = Literal["control", "state", "emergency"]
WORKER_LANES: Final[tuple[Lane, ...]] = ("control", "state")
"""The lanes with their own worker. The control worker serves the emergency lane too."""
LANES: Final[tuple[Lane, ...]] = ("emergency", *WORKER_LANES)
"""All lanes of a slot. Each has a queue."""

WORKFLOWS = "workflows"  # the queue of workflows, and the ``slot`` of their records

_SLOT_ID = re.compile(r"crate(\d+)slot(\d+)")


@dataclass(frozen=True, order=True)
class SlotId:
    """One readout card: the numbers of its crate and of its slot, for example ``crate1slot2``."""

    crate: int
    slot: int

    @classmethod
    def parse(cls, text: str) -> SlotId:
        """Parse a slot id.

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
    """Return the Celery queue of a slot's lane: ``crate1slot2``, ``crate1slot2.state``, ``crate1slot2.emergency``."""
    return slot if lane == "control" else f"{slot}.{lane}"


def worker_name(slot: str, lane: Lane) -> str:
    """Return the Celery node name of the worker that serves a lane. The control worker serves emergencies too."""
    return f"state@{slot}" if lane == "state" else f"smurf@{slot}"


def publisher_id(slot: str, lane: Lane) -> str:
    """Return the ``SMURFPUB_ID`` of an operation's process.

    The state lane runs at the same time as the control lane. It has its own id, so that its messages are not
    attributed to the run of the control lane.
    """
    return f"{slot}.state" if lane == "state" else slot


def workflow_seat(number: int) -> str:
    """Return the name of the ``number``-th seat for workflows. The seat's lease and lock use this name."""
    return f"{WORKFLOWS}.{number}"


def workflow_seats(count: int) -> list[str]:
    """Return the seats of a site that runs ``count`` workflows at once."""
    return [workflow_seat(number) for number in range(1, count + 1)]


def workflow_node(seat: str) -> str:
    """Return the Celery node name of the worker that serves a seat."""
    return f"{seat}@site"
