"""Holds: no new run starts on a slot that is held. A hold survives restarts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from smurfq.core import keys
from smurfq.errors import SlotHeldError
from smurfq.store.connection import Client
from smurfq.store.reservations import Reservation, Reservations


@dataclass(frozen=True)
class Hold(Reservation):
    """A hold of a slot: its owner, reason, start and end (s since 1970; None: until it is released)."""

    DONE: ClassVar[str] = "held"


class Holds(Reservations[Hold]):
    """The holds of a site's slots. Changing somebody else's hold raises ``SlotHeldError``."""

    def __init__(self, client: Client) -> None:
        super().__init__(client, Hold, keys.hold, SlotHeldError)
