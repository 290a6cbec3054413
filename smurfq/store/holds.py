"""Holds: nothing new starts on a slot that is held. A hold survives restarts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from smurfq.core import keys
from smurfq.errors import SlotHeldError
from smurfq.store.connection import Client
from smurfq.store.reservations import Reservation, Reservations


@dataclass(frozen=True)
class Hold(Reservation):
    """Who holds a slot's queue, why, since when and until when (s since 1970; None: until released)."""

    DONE: ClassVar[str] = "held"


class Holds(Reservations[Hold]):
    """The holds of a site's slots; another's is rejected with ``SlotHeldError``."""

    def __init__(self, client: Client) -> None:
        super().__init__(client, Hold, keys.hold, SlotHeldError)
