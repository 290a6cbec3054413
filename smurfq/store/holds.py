"""Held queues: nothing new starts on a slot while somebody holds it; a hold survives restarts."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass

from smurfq.core import keys
from smurfq.core.jsonsafe import dumps, loads
from smurfq.errors import SlotHeldError
from smurfq.store.connection import Client


@dataclass(frozen=True)
class Hold:
    """Who holds a slot's queue, why, since when and until when (s since 1970; None: until released)."""

    slot: str
    owner: str
    note: str = ""
    since: float = 0.0
    until: float | None = None

    def __str__(self) -> str:
        until = "" if self.until is None else time.strftime(" until %H:%M:%S", time.localtime(self.until))
        note = f" ({self.note})" if self.note else ""
        return f"{self.slot} is held by {self.owner}{until}{note}"


class Holds:
    """The holds of a site's slots."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def get(self, slot: str) -> Hold | None:
        """The hold of a slot; None if it is free, or the hold's time is over."""
        text = self._client.get(keys.hold(slot))
        return Hold(**loads(text)) if text else None

    def put(self, hold: Hold, *, force: bool = False) -> None:
        """Hold a slot's queue.

        Raises
        ------
        SlotHeldError
            Somebody else holds it, and ``force`` is false.
        """
        present = self.get(hold.slot)
        if present is not None and present.owner != hold.owner and not force:
            raise _refusal(present)
        lifetime_s = None if hold.until is None else max(1, int(hold.until - time.time()))
        self._client.set(keys.hold(hold.slot), dumps(asdict(hold)), ex=lifetime_s)

    def release(self, slot: str, owner: str, *, force: bool = False) -> bool:
        """Release a slot's queue; false if it was not held.

        Raises
        ------
        SlotHeldError
            Somebody else holds it, and ``force`` is false.
        """
        present = self.get(slot)
        if present is None:
            return False
        if present.owner != owner and not force:
            raise _refusal(present)
        return bool(self._client.delete(keys.hold(slot)))


def _refusal(present: Hold) -> SlotHeldError:
    return SlotHeldError(
        f"{present}; ask them, or use --force", slot=present.slot, owner=present.owner, note=present.note
    )
