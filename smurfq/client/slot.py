"""A slot, and the requests to it. Needs no pysmurf."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from smurfq.client.connection import Connection, connection_of, whoami
from smurfq.client.run import Answer, Run
from smurfq.client.status import SlotStatus, running_now, slot_status
from smurfq.client.waiting import is_served
from smurfq.config import Settings
from smurfq.core.priorities import Priority
from smurfq.core.session import SessionHeader
from smurfq.errors import RequestError
from smurfq.store.holds import Hold
from smurfq.store.locks import Lock
from smurfq.store.queues import Waiting

__all__ = ["Held", "Priority", "Slot"]


@dataclass(frozen=True)
class Held:
    """A hold that was put. ``confirmed``: the worker said that it takes nothing more.

    Where no worker is alive it is true as well: nothing can start, and a worker that comes finds the hold.
    """

    hold: Hold
    confirmed: bool


class Slot:
    """One readout slot.

    Parameters
    ----------
    slot
        The slot id, ``crate1slot2``.
    settings
        The site's; absent: those that this process's environment describes.

    Raises
    ------
    UnknownSlotError
        The site has no such slot.
    """

    def __init__(self, slot: str, settings: Settings | None = None, *, connection: Connection | None = None) -> None:
        self._connection = connection or connection_of(settings)
        self.slot = self._connection.settings.check_slot(slot)

    def __repr__(self) -> str:
        return f"Slot({self.slot!r})"

    def submit(
        self,
        operation: str,
        priority: Priority = "normal",
        *,
        unique: bool | str = False,
        owner: str | None = None,
        **params: Any,
    ) -> Run:
        """Queue an operation; the run that it will be.

        Urgent ones are served before normal ones, background ones last; none interrupts what runs. ``unique`` rejects
        it where the same, with the same parameters, waits already; ``"running"``: waits or runs. ``owner`` is in
        whose name, which a locked slot looks at; absent: ``SMURFQ_OWNER``, else ``user@host``.

        Raises
        ------
        UnknownOperationError, ParameterError
            There is no such operation, or a parameter is not as ``OPERATIONS.md`` has it. Nothing was queued.
        SlotLockedError
            Somebody else has locked the slot. Nothing was queued.
        DuplicateError
            ``unique``, and the same is there already. Nothing was queued.
        StoreUnavailableError
            Redis did not answer. Nothing was queued.
        """
        asked = {"priority": priority, "unique": unique, "owner": owner}
        return self.run(self._connection.submit(operation, self.slot, params, **asked))

    def run(self, run_id: str) -> Run:
        """The run with this id."""
        return Run(run_id, connection=self._connection)

    def running(self) -> Run | None:
        """What runs on the slot's control lane now."""
        with self._connection.reached():
            found = running_now(self._connection, self.slot, "control")
        return self.run(found.session_id) if found else None

    def current_run(self) -> Run:
        """What runs on the slot's control lane now.

        Raises
        ------
        RequestError
            Nothing runs.
        """
        run = self.running()
        if run is None:
            raise RequestError(f"no operation is running on {self.slot}; `smurfq queue list` shows the waiting runs")
        return run

    def stop(self, *, by: str | None = None, reason: str = "") -> Answer:
        """Ask what runs now to end in good order; see ``Run.stop``.

        Raises
        ------
        RequestError
            Nothing runs.
        """
        return self.current_run().stop(by, reason)

    def abort(
        self,
        *,
        by: str | None = None,
        reason: str = "",
        grace_s: float | None = None,
        wait_s: float | None = None,
    ) -> Answer:
        """Ask what runs now to end at once; see ``Run.abort``.

        Raises
        ------
        RequestError
            Nothing runs.
        """
        return self.current_run().abort(by, reason, grace_s=grace_s, wait_s=wait_s)

    def hold(
        self, owner: str | None = None, note: str = "", for_s: float | None = None, *, force: bool = False
    ) -> Held:
        """Hold the slot: nothing new starts on it until it is released, or ``for_s`` seconds are over.

        What runs goes on. Returns once the worker has said that it takes nothing more.

        Raises
        ------
        SlotHeldError
            Somebody else holds it, and ``force`` is false.
        """
        now = time.time()
        hold = Hold(self.slot, owner or self._connection.owner, note, now, None if for_s is None else now + for_s)
        with self._connection.reached():
            self._connection.holds.put(hold, force=force)
            return Held(hold, self._tell_worker())

    def release(self, owner: str | None = None, *, force: bool = False) -> bool:
        """Release the slot; false if it was not held.

        Raises
        ------
        SlotHeldError
            Somebody else holds it, and ``force`` is false.
        """
        with self._connection.reached():
            released = self._connection.holds.release(self.slot, owner or self._connection.owner, force=force)
            self._tell_worker()
        return released

    def lock(
        self, owner: str | None = None, note: str = "", for_s: float | None = None, *, force: bool = False
    ) -> Lock:
        """Lock the slot: until it is unlocked it takes the owner's submissions only.

        What was accepted before goes on, with the later steps of its chains; emergencies and the state lane pass.

        Parameters
        ----------
        owner
            Whose it is; absent: ``SMURFQ_OWNER``, else ``user@host``. Locked again by its owner, it is locked anew.
        note
            Why, for those whose submissions are rejected.
        for_s
            For so many seconds; absent: until it is unlocked.
        force
            Even if somebody else has locked it.

        Raises
        ------
        SlotLockedError
            Somebody else has locked it, and ``force`` is false.
        """
        now = time.time()
        lock = Lock(self.slot, owner or self._connection.owner, note, now, None if for_s is None else now + for_s)
        with self._connection.reached():
            self._connection.locks.put(lock, force=force)
        return lock

    def unlock(self, owner: str | None = None, *, force: bool = False) -> bool:
        """Unlock the slot; false if it was not locked.

        Raises
        ------
        SlotLockedError
            Somebody else has locked it, and ``force`` is false.
        """
        with self._connection.reached():
            return self._connection.locks.release(self.slot, owner or self._connection.owner, force=force)

    def emergency_off(self, by: str | None = None, reason: str = "", **params: Any) -> Run:
        """Switch the slot's card off next, whatever runs, waits or holds; the run of ``all_off``.

        The slot is held first, in place of any other hold, and stays so until it is released; then ``all_off``
        is sent to the emergency lane, which aborts what runs.
        """
        with self._connection.reached():
            self._hold_for_emergency(by or whoami(), reason)
            run = self.run(self._connection.submit("all_off", self.slot, params, emergency=True))
            self._tell_worker()
        return run

    def status(self) -> SlotStatus:
        """What the slot is doing, who serves, holds and locks it, and what waits."""
        with self._connection.reached():
            return slot_status(self._connection, self.slot)

    def queue(self) -> Sequence[Waiting]:
        """All that waits, in the order in which it will be served; emergencies first."""
        with self._connection.reached():
            return self._connection.queues.waiting(self.slot)

    def history(self, count: int = 20) -> list[SessionHeader]:
        """The headers of the slot's newest records, newest first; ``Run.record`` reads the rest of one."""
        with self._connection.reached():
            return self._connection.records.history(self.slot, count)

    def _hold_for_emergency(self, by: str, reason: str) -> None:
        """Hold without an end, whoever holds: another's hold could end while the card is switched off."""
        before = self._connection.holds.get(self.slot)
        note = f"emergency off{f': {reason}' if reason else ''}"
        if before is not None and before.owner != by:
            note += f"; before that, {before}"
        self._connection.holds.put(Hold(self.slot, by, note, time.time(), None), force=True)

    def _tell_worker(self) -> bool:
        """Make the worker look at the hold now; whether it answered, or there is none to start anything."""
        if not is_served(self._connection, self.slot, "control"):
            return True
        return bool(self._connection.app.control_worker(self.slot, "apply_hold"))
