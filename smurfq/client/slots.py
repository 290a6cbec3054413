"""Several slots at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from smurfq.client.connection import Connection, connection_of
from smurfq.client.run import Run
from smurfq.client.slot import Held, Priority, Slot
from smurfq.client.status import SlotStatus, slots_status
from smurfq.config import Settings
from smurfq.core.session import SessionRecord
from smurfq.errors import SlotLockedError
from smurfq.store.locks import Lock
from smurfq.store.queues import Waiting

T = TypeVar("T")


class Slots:
    """All slots of a site, or those that are named by place or stream id. Iterating yields ``Slot`` objects.

    The dictionaries that the methods return have the places as keys.

    Raises
    ------
    UnknownSlotError
        The site has no such slot.
    """

    def __init__(
        self,
        slots: Iterable[str] | None = None,
        settings: Settings | None = None,
        *,
        connection: Connection | None = None,
    ) -> None:
        self._connection = connection = connection or connection_of(settings)
        names = connection.settings.slots if slots is None else tuple(slots)
        made = [Slot(name, connection=connection) for name in names]
        self._slots = {slot.slot: slot for slot in made}

    def __iter__(self) -> Iterator[Slot]:
        return iter(self._slots.values())

    def __len__(self) -> int:
        return len(self._slots)

    def __getitem__(self, slot: str) -> Slot:
        return self._slots[slot] if slot in self._slots else self._slots[self._connection.slot_names.place(slot)]

    def submit(
        self,
        operation: str,
        priority: Priority = "normal",
        *,
        unique: bool | str = False,
        owner: str | None = None,
        **params: Any,
    ) -> dict[str, Run]:
        """Queue an operation on all slots in one step, or on none; return the runs by slot. See ``Slot.submit``."""
        with self._connection.batch():
            return {slot.slot: slot.submit(operation, priority, unique=unique, owner=owner, **params) for slot in self}

    def wait(self, runs: Mapping[str, Run], timeout: float | None = None) -> dict[str, SessionRecord]:
        """Wait for ``runs`` one after another, ``timeout`` seconds for each; return the final records by slot."""
        return {name: run.wait(timeout) for name, run in runs.items()}

    def status(self) -> dict[str, SlotStatus]:
        """Return the status of each slot."""
        with self._connection.reached():
            return slots_status(self._connection, list(self._slots))

    def queue(self) -> dict[str, list[Waiting]]:
        """Return the waiting messages of each slot in the order in which they will be served; emergencies first."""
        with self._connection.reached():
            return self._connection.queues.waiting_of(self._slots)

    def hold(self, owner: str | None = None, note: str = "", for_s: float | None = None) -> dict[str, Held]:
        """Hold each slot; see ``Slot.hold``."""
        return self._each(lambda slot: slot.hold(owner, note, for_s))

    def lock(self, owner: str | None = None, note: str = "", for_s: float | None = None) -> dict[str, Lock]:
        """Lock each slot; see ``Slot.lock``. If somebody else has locked one, the new locks are removed again."""
        done: dict[str, Lock] = {}
        with self._connection.reached():
            before = {name for name in self._slots if self._connection.locks.get(name) is not None}
        try:
            for slot in self:
                done[slot.slot] = slot.lock(owner, note, for_s)
        except SlotLockedError:
            for name in done.keys() - before:
                self[name].unlock(owner)
            raise
        return done

    def emergency_off(self, by: str | None = None, reason: str = "") -> dict[str, Run]:
        """Run ``all_off`` on the cards of all slots before anything else; return the runs by slot."""
        return self._each(lambda slot: slot.emergency_off(by, reason))

    def _each(self, ask: Callable[[Slot], T]) -> dict[str, T]:
        """Return the result of ``ask`` for each slot. The calls run concurrently: a silent worker delays no other."""
        with ThreadPoolExecutor(max_workers=max(1, len(self))) as pool:
            asked = {slot.slot: pool.submit(ask, slot) for slot in self}
        return {name: answer.result() for name, answer in asked.items()}
