"""Locks: a locked slot accepts its owner's submissions only. Earlier submissions still run.

``admission`` keeps to it, in the step that queues.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from smurfq.core import keys
from smurfq.errors import SlotLockedError
from smurfq.store.connection import Client
from smurfq.store.reservations import Reservation, Reservations


@dataclass(frozen=True)
class Lock(Reservation):
    """Whose submissions a slot takes, why, since when and until when (s since 1970; None: until unlocked)."""

    DONE: ClassVar[str] = "locked"

    def refusal(self, owner: str) -> SlotLockedError:
        """The error for a submission in another's name."""
        return SlotLockedError(
            f"{self}; a submission by {owner} is rejected. Ask them; `smurfq unlock --slot {self.slot} --force` breaks "
            "the lock, and `smurfq emergency-off` passes it by",
            slot=self.slot,
            owner=self.owner,
            note=self.note,
            until=self.until,
            got=owner,
        )


class Locks(Reservations[Lock]):
    """The locks of a site's slots; another's is rejected with ``SlotLockedError``."""

    def __init__(self, client: Client) -> None:
        super().__init__(client, Lock, keys.lock, SlotLockedError)
