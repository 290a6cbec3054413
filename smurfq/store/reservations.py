"""Holds and locks of a slot: owner, reason and end, each changed in one atomic step."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Generic, TypeVar

from smurfq.core.jsonsafe import dumps, loads
from smurfq.core.slot import both_names
from smurfq.errors import SlotError
from smurfq.store.connection import Client
from smurfq.store.lua_scripts import lua_script


@dataclass(frozen=True)
class Reservation:
    """A reservation of a slot: its owner, reason, start and end (s since 1970; None: until it is released).

    ``stream_id`` was the slot's when it was reserved.
    """

    slot: str
    owner: str
    note: str = ""
    since: float = 0.0
    until: float | None = None
    stream_id: str | None = None

    DONE: ClassVar[str]  # the verb for messages: "held" or "locked"

    def __str__(self) -> str:
        return f"{both_names(self.slot, self.stream_id)} is {self.words()}"

    def words(self) -> str:
        """Return the reservation without its slot: ``held by …``."""
        note = f" ({self.note})" if self.note else ""
        return f"{self.DONE} by {self.owner}{self.until_words()}{note}"

    def until_words(self) -> str:
        """Return `` until 14:30:00``, with the date unless it is today; empty if the reservation has no end."""
        if self.until is None:
            return ""
        end, today = time.localtime(self.until), time.localtime()
        return time.strftime(" until %H:%M:%S" if end[:3] == today[:3] else " until %Y-%m-%d %H:%M:%S", end)


R = TypeVar("R", bound=Reservation)


class Reservations(Generic[R]):
    """The reservations of one kind."""

    def __init__(self, client: Client, kind: type[R], key: Callable[[str], str], refusal: type[SlotError]) -> None:
        self._client = client
        self._kind = kind
        self._key = key
        self._refusal = refusal
        self._change = client.register_script(lua_script("change_reservation"))

    def get(self, slot: str) -> R | None:
        """Return the reservation of a slot; None if there is none, or if it has ended."""
        return self.parse(self._client.get(self._key(slot)))

    def of(self, slots: Sequence[str]) -> dict[str, R]:
        """Return the reservation of each slot that has one."""
        texts: Any = self._client.mget(map(self._key, slots)) if slots else []
        found = zip(slots, map(self.parse, texts), strict=True)
        return {slot: reservation for slot, reservation in found if reservation is not None}

    def parse(self, text: Any) -> R | None:
        """Return the reservation that Redis stores as ``text``."""
        return self._kind(**loads(text)) if text else None

    def put(self, reservation: R, *, force: bool = False) -> None:
        """Reserve a slot. If the owner has reserved it before, the new reservation replaces the old one.

        Raises
        ------
        SlotError
            Somebody else has reserved it, and ``force`` is false.
        """
        life_ms = "" if reservation.until is None else max(1, int(1000 * (reservation.until - time.time())))
        self._apply(reservation.slot, reservation.owner, force, dumps(asdict(reservation)), life_ms)

    def release(self, slot: str, owner: str, *, force: bool = False) -> bool:
        """Release a slot; return false if it was not reserved.

        Raises
        ------
        SlotError
            Somebody else has reserved it, and ``force`` is false.
        """
        return self._apply(slot, owner, force, "", "") is not None

    def _apply(self, slot: str, owner: str, force: bool, text: str, life_ms: int | str) -> R | None:
        answer, before = self._change(keys=[self._key(slot)], args=[owner, int(force), text, life_ms])
        present = self.parse(before)
        if answer == "refused" and present is not None:
            raise self._refusal(
                f"{present}; ask the owner, or use --force",
                slot=slot,
                owner=present.owner,
                note=present.note,
                until=present.until,
            )
        return present
