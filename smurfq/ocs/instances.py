"""Converts between OCS instance ids and slots."""

from __future__ import annotations

import re
from typing import Any, Final

from smurfq.config import Settings
from smurfq.config.slot_names import SlotNames
from smurfq.errors import UnknownSlotError

PREFIX: Final = "pysmurf-controller-"
REGISTRY: Final = "registry"

_SHORT = re.compile(r"(?:c(?P<crate>\d+))?s(?P<slot>\d+)")


def slot_of(instance_id: str, settings: Settings, names: SlotNames) -> str:
    """Return the place of the slot of an instance id.

    An instance id is a key of the site's ``ocs.instances``, a place (``crate1slot2``), its short form (``c1s2``), the
    slot's number alone (``s2``) if only one crate has it, or a stream id (``ufm_mv9``, ``ufm-mv9``). The prefix
    ``pysmurf-controller-`` is optional.

    Raises
    ------
    UnknownSlotError
        The instance id matches no slot of the site, or several.
    """
    name = instance_id.removeprefix(PREFIX)
    for key in (instance_id, name):
        if key in settings.ocs.instances:
            return names.place(settings.ocs.instances[key])
    if name in settings.slots:
        return name
    short = _SHORT.fullmatch(name)
    end = f"slot{short['slot']}" if short else ""
    if short and short["crate"] is not None:
        end = f"crate{short['crate']}{end}"
    meant = [slot for slot in settings.slots if end and (slot == end or re.fullmatch(rf"crate\d+{end}", slot))]
    if len(meant) == 1:
        return meant[0]
    if not meant:
        known = names.stream_ids().values()
        if stream_id := next((one for one in known if name in (one, one.replace("_", "-"))), None):
            return names.place(stream_id)
    what = f"means any of {', '.join(meant)}" if meant else "names no slot"
    raise UnknownSlotError(
        f"the instance id {instance_id!r} {what}; known are {', '.join(map(instance_of, settings.slots))}"
        f"{_configured(settings)}; ocs.instances of the site file gives others",
        got=instance_id,
        known=list(settings.slots),
    )


def place_of(name: Any, settings: Settings, names: SlotNames) -> str:
    """Return the place of a slot that is given by one of its names, its number, or its whole instance id.

    Raises
    ------
    UnknownSlotError
        The site has no such slot, or several slots have the number.
    """
    if isinstance(name, str) and name.startswith(PREFIX):
        return slot_of(name, settings, names)
    numbered = names.with_number(name)
    return numbered[0] if len(numbered) == 1 else names.place(name)


def instance_of(slot: str, settings: Settings | None = None) -> str:
    """Return the instance id of a slot: the one in the site's settings, else the one that ends with its place."""
    given = settings.ocs.instances if settings is not None else {}
    stream_id = settings.stream_ids[slot] if settings is not None else None
    own = next((instance for instance, its_slot in given.items() if its_slot in (slot, stream_id)), slot)
    return own if own.startswith(PREFIX) else PREFIX + own


def _configured(settings: Settings) -> str:
    return "".join(f", {instance} ({slot})" for instance, slot in settings.ocs.instances.items())
