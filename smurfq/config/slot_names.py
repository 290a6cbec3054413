"""Finds slots by either of their names: the place (``crate1slot2``) or the stream id (``ufm_mv9``).

A process on another host has neither the sys_config.yml nor the site file of a server, so the workers report the stream
ids of their slots to Redis (``store/stream_ids.py``). The reports are read for each look-up of a stream id: if a module
has moved to another slot, the name leads to the slot where the module is now.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from smurfq.config.settings import Settings, unknown_slot
from smurfq.core.slot import WORKFLOWS, SlotId, both_names, is_place, is_stream_id
from smurfq.errors import UnknownSlotError


class SlotNames:
    """The names of a site's slots, from the settings of this process and from the reports of the workers.

    ``read_reports`` returns the reported stream ids by place.
    """

    def __init__(self, settings: Settings, read_reports: Callable[[], Mapping[str, str]]) -> None:
        self._settings = settings
        self._read_reports = read_reports
        self._shown: Mapping[str, str] | None = None

    @property
    def places(self) -> tuple[str, ...]:
        """The places of the site's slots."""
        return self._settings.slots

    def stream_ids(self) -> dict[str, str]:
        """Return the stream id of each slot by place; the place itself if no stream id is known.

        If another slot's worker has reported the stream id that the settings give for a slot, the settings are old.
        """
        settings, found = self._settings.stream_ids, self._read_reports()
        reported = {slot: found[slot] for slot in settings if slot in found}
        elsewhere = set(reported.values())
        return {slot: reported.get(slot) or (slot if known in elsewhere else known) for slot, known in settings.items()}

    def place(self, name: Any) -> str:
        """Return the place of the slot with this place or stream id. Only a stream id is looked up in Redis.

        Raises
        ------
        UnknownSlotError
            The site does not have the slot, or these settings and the workers know the stream id in different slots.
        """
        if name in self.places:
            return str(name)
        if not is_stream_id(name) or is_place(name):
            raise unknown_slot(name, self._settings.stream_ids)
        known = self.stream_ids()
        places = [slot for slot, stream_id in known.items() if stream_id == name]
        here = [slot for slot, stream_id in self._settings.stream_ids.items() if stream_id == name]
        if len(places) == 1 and here in ([], places):
            return places[0]
        if not places and not here:
            raise unknown_slot(name, known)
        raise UnknownSlotError(
            f"the stream id {name!r} belongs to {_listed(here)} by the settings of this process, and to "
            f"{_listed(places)} by the workers; give the place, correct the settings, and restart what is older",
            got=name,
            known=list(known),
        )

    def with_number(self, number: str | int) -> list[str]:
        """Return the places of the slots with this number, one in each crate that has it; none if it is no number."""
        text = str(number)
        if not text.isascii() or not text.isdigit():
            return []
        return [slot for slot in self.places if SlotId.parse(slot).slot == int(text)]

    def both(self, slot: str) -> str:
        """Return both names of a slot for people."""
        return both_names(slot, self.shown(slot))

    def shown(self, slot: str) -> str | None:
        """Return the stream id of a slot to show it; None for workflows.

        The reports are read once, since a command shows many slots.
        """
        if slot == WORKFLOWS:
            return None
        if self._shown is None:
            self._shown = self.stream_ids()
        return self._shown.get(slot)


def _listed(slots: list[str]) -> str:
    return " and ".join(slots) or "no slot"
