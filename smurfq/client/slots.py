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
    """Several slots of a site: all that it has, or those named. Iterates over its ``Slot`` objects.

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
        self._slots = {name: Slot(name, connection=connection) for name in names}

    def __iter__(self) -> Iterator[Slot]:
        return iter(self._slots.values())

    def __len__(self) -> int:
        return len(self._slots)

    def __getitem__(self, slot: str) -> Slot:
        return self._slots[slot]

    def submit(
        self,
        operation: str,
        priority: Priority = "normal",
        *,
        unique: bool | str = False,
        owner: str | None = None,
        **params: Any,
    ) -> dict[str, Run]:
        """Queue an operation on every slot, in one step, or on none; the runs by slot. See ``Slot.submit``."""
        with self._connection.batch():
            return {slot.slot: slot.submit(operation, priority, unique=unique, owner=owner, **params) for slot in self}

    def wait(self, runs: Mapping[str, Run], timeout: float | None = None) -> dict[str, SessionRecord]:
        """The final records of ``runs`` by slot, once all are over; ``timeout`` is that of each in turn."""
        return {name: run.wait(timeout) for name, run in runs.items()}

    def status(self) -> dict[str, SlotStatus]:
        """What each slot is doing."""
        with self._connection.reached():
            return slots_status(self._connection, list(self._slots))

    def queue(self) -> dict[str, list[Waiting]]:
        """All that waits for each slot, in the order in which it will be served; emergencies first."""
        with self._connection.reached():
            return self._connection.queues.waiting_of(self._slots)

    def hold(self, owner: str | None = None, note: str = "", for_s: float | None = None) -> dict[str, Held]:
        """Hold each slot; see ``Slot.hold``."""
        return self._each(lambda slot: slot.hold(owner, note, for_s))

    def lock(self, owner: str | None = None, note: str = "", for_s: float | None = None) -> dict[str, Lock]:
        """Lock each slot; see ``Slot.lock``. Where one is another's, those locked just now are unlocked again."""
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
        """Switch the cards of all slots off next; the runs of ``all_off`` by slot."""
        return self._each(lambda slot: slot.emergency_off(by, reason))

    def _each(self, ask: Callable[[Slot], T]) -> dict[str, T]:
        """What ``ask`` returns of each slot; all at once, so that a worker that does not answer delays no other."""
        with ThreadPoolExecutor(max_workers=max(1, len(self))) as pool:
            asked = {slot.slot: pool.submit(ask, slot) for slot in self}
        return {name: answer.result() for name, answer in asked.items()}
