"""The names of a slot: its place and its stream id, and the names of queues and workers.

The *place* (``crate1slot2``) names queues, workers, locks and keys. Code calls it ``slot``. The *stream id*
(``ufm_mv9``) is the name of the detector module in that place: publishers, g3 files and the archive use it. Every
string that two processes must agree on is made here, in ``publisher_ids.py`` or in ``keys.py``.
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

STREAM_ID_RULE: Final = "letters, digits, '_', '-' and '.', and no slot number (2, s2, c1s2), as in ufm_mv9"
_SLOT_ID = re.compile(r"crate(\d+)slot(\d+)")
_STREAM_ID = re.compile(r"(?!(c?\d+)?s?\d+$)[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}(?<!\.state)(?<!\.emergency)", re.ASCII)


@dataclass(frozen=True, order=True)
class SlotId:
    """One readout card: the numbers of its crate and of its slot, for example ``crate1slot2``."""

    crate: int
    slot: int

    @classmethod
    def parse(cls, text: str) -> SlotId:
        """Parse the place of a slot.

        Raises
        ------
        ConfigError
            ``text`` is not of the form ``crate<N>slot<M>``.
        """
        match = _SLOT_ID.fullmatch(text)
        if match is None:
            raise ConfigError(f"the place of a slot looks like 'crate1slot2'; got {text!r}", got=text)
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"crate{self.crate}slot{self.slot}"

    @property
    def older_id(self) -> str:
        """The publisher id of the slot in older versions of sodetlib: ``crate1_slot2``."""
        return f"crate{self.crate}_slot{self.slot}"

    @property
    def simulated_stream_id(self) -> str:
        """The stream id of a simulated slot, unless the site file gives one: ``ufm_mv12`` for ``crate1slot2``."""
        return f"ufm_{'uv' if self.slot % 2 else 'mv'}{10 * self.crate + self.slot}"


def is_stream_id(text: object) -> bool:
    """Return whether ``text`` can be a stream id: it names folders, and must not look like a slot number or queue."""
    return isinstance(text, str) and text != WORKFLOWS and _STREAM_ID.fullmatch(text) is not None


def is_place(text: str) -> bool:
    """Return whether ``text`` has the form of a place: ``crate1slot2``."""
    return _SLOT_ID.fullmatch(text) is not None


def both_names(slot: str, stream_id: str | None) -> str:
    """Return a slot's two names for people: ``crate1slot2 (ufm_mv9)``, or the place alone if there is no other."""
    return slot if stream_id in (None, slot) else f"{slot} ({stream_id})"


def queue_name(slot: str, lane: Lane) -> str:
    """Return the Celery queue of a slot's lane: ``crate1slot2``, ``crate1slot2.state``, ``crate1slot2.emergency``."""
    return slot if lane == "control" else f"{slot}.{lane}"


def worker_name(slot: str, lane: Lane) -> str:
    """Return the Celery node name of the worker that serves a lane. The control worker serves emergencies too."""
    return f"state@{slot}" if lane == "state" else f"smurf@{slot}"


def publisher_id(slot: str, lane: Lane) -> str:
    """Return the name of a slot's lane in Redis's keys, in files, and in the bridge.

    The bridge converts the ids that publishers use to these names; see ``publisher_ids.py``.
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
