"""Locks: a locked slot accepts its owner's submissions only. Earlier submissions still run.

``admission`` checks the lock in the atomic step that queues a submission.
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
    """A lock of a slot: its owner, reason, start and end (s since 1970; None: until it is unlocked)."""

    DONE: ClassVar[str] = "locked"

    def refusal(self, owner: str) -> SlotLockedError:
        """Return the error for a submission by ``owner``, who is not the owner of the lock."""
        return SlotLockedError(
            f"{self}; a submission by {owner} is rejected. Ask the owner; `smurfq unlock --slot {self.slot} --force` "
            "removes the lock, and `smurfq emergency-off` works in spite of it",
            slot=self.slot,
            owner=self.owner,
            note=self.note,
            until=self.until,
            got=owner,
        )


class Locks(Reservations[Lock]):
    """The locks of a site's slots. Changing somebody else's lock raises ``SlotLockedError``."""

    def __init__(self, client: Client) -> None:
        super().__init__(client, Lock, keys.lock, SlotLockedError)
