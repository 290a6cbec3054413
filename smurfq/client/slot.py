"""A slot, and the requests to it. This module does not need pysmurf."""

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
from smurfq.core.message_headers import STREAM_ID
from smurfq.core.priorities import Priority
from smurfq.core.published_registers import RegisterValue
from smurfq.core.session import SessionHeader
from smurfq.errors import RequestError
from smurfq.store.holds import Hold
from smurfq.store.locks import Lock
from smurfq.store.queues import Waiting
from smurfq.store.registers import Registers

__all__ = ["Held", "Priority", "Slot"]


@dataclass(frozen=True)
class Held:
    """The result of ``hold``. ``confirmed`` is true if the worker has confirmed that it takes no more messages.

    It is also true if no worker is alive, because nothing can start then, and a new worker will find the hold.
    """

    hold: Hold
    confirmed: bool


class Slot:
    """One readout slot.

    Parameters
    ----------
    slot
        The slot's place, ``crate1slot2``, or its stream id, ``ufm_mv9``. The attribute ``slot`` is the place. A run
        that was submitted for a stream id fails if the module has moved to another slot before it starts.
    settings
        The settings of the site. Default: those of this process's environment.

    Raises
    ------
    UnknownSlotError
        The site has no such slot.
    """

    def __init__(self, slot: str, settings: Settings | None = None, *, connection: Connection | None = None) -> None:
        self._connection = connection or connection_of(settings)
        with self._connection.reached():
            self.slot = self._connection.slot_names.place(slot)
        self._headers = {} if slot == self.slot else {STREAM_ID: slot}

    @property
    def stream_id(self) -> str:
        """The stream id of the slot, as its worker reported it last."""
        with self._connection.reached():
            return self._connection.slot_names.stream_ids()[self.slot]

    def __str__(self) -> str:
        with self._connection.reached():
            return self._connection.slot_names.both(self.slot)

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
        """Queue an operation and return its run.

        Urgent runs are served before normal ones, and background runs last. No priority interrupts a running operation.
        With ``unique=True``, the submission is rejected if a duplicate is waiting; with ``"running"``, also if one is
        running. ``owner`` is the name under which the run is submitted; a locked slot checks it. The default is
        ``SMURFQ_OWNER``, else ``user@host``.

        Raises
        ------
        UnknownOperationError, ParameterError
            There is no such operation, or ``docs/reference/operations.md`` does not allow a parameter. Nothing was
            queued.
        SlotLockedError
            Somebody else has locked the slot. Nothing was queued.
        DuplicateError
            ``unique`` was given, and there is a duplicate. Nothing was queued.
        StoreUnavailableError
            Redis did not answer. Nothing was queued.
        """
        asked = {"priority": priority, "unique": unique, "owner": owner, "headers": self._headers}
        return self.run(self._connection.submit(operation, self.slot, params, **asked))

    def run(self, run_id: str) -> Run:
        """Return the run with this id."""
        return Run(run_id, connection=self._connection)

    def running(self) -> Run | None:
        """Return the run that is running on the slot's control lane, if there is one."""
        with self._connection.reached():
            found = running_now(self._connection, self.slot, "control")
        return self.run(found.session_id) if found else None

    def current_run(self) -> Run:
        """Return the run that is running on the slot's control lane.

        Raises
        ------
        RequestError
            Nothing runs.
        """
        run = self.running()
        if run is None:
            raise RequestError(f"no operation is running on {self}; `smurfq queue list` shows the waiting runs")
        return run

    def stop(self, *, by: str | None = None, reason: str = "") -> Answer:
        """Stop the run that is running; see ``Run.stop``.

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
        """Abort the run that is running; see ``Run.abort``.

        Raises
        ------
        RequestError
            Nothing runs.
        """
        return self.current_run().abort(by, reason, grace_s=grace_s, wait_s=wait_s)

    def hold(
        self, owner: str | None = None, note: str = "", for_s: float | None = None, *, force: bool = False
    ) -> Held:
        """Hold the slot: no new run starts on it until it is released, or until ``for_s`` seconds have passed.

        The running operation continues. Return when the worker has confirmed that it takes no more messages.

        Raises
        ------
        SlotHeldError
            Somebody else holds it, and ``force`` is false.
        """
        now = time.time()
        until = None if for_s is None else now + for_s
        hold = Hold(self.slot, owner or self._connection.owner, note, now, until, self.stream_id)
        with self._connection.reached():
            self._connection.holds.put(hold, force=force)
            return Held(hold, self._tell_worker())

    def release(self, owner: str | None = None, *, force: bool = False) -> bool:
        """Release the slot; return false if it was not held.

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
        """Lock the slot: until it is unlocked, it accepts only its owner's submissions.

        Runs that were accepted before still run, with the later steps of their chains. The lock does not affect
        emergencies and the state lane.

        Parameters
        ----------
        owner
            The owner of the lock; default: ``SMURFQ_OWNER``, else ``user@host``. A new lock of the same owner replaces
            the old one.
        note
            The reason, which rejected submissions report.
        for_s
            How long to lock the slot, in seconds; default: until it is unlocked.
        force
            Replace somebody else's lock.

        Raises
        ------
        SlotLockedError
            Somebody else has locked it, and ``force`` is false.
        """
        now = time.time()
        until = None if for_s is None else now + for_s
        lock = Lock(self.slot, owner or self._connection.owner, note, now, until, self.stream_id)
        with self._connection.reached():
            self._connection.locks.put(lock, force=force)
        return lock

    def unlock(self, owner: str | None = None, *, force: bool = False) -> bool:
        """Unlock the slot; return false if it was not locked.

        Raises
        ------
        SlotLockedError
            Somebody else has locked it, and ``force`` is false.
        """
        with self._connection.reached():
            return self._connection.locks.release(self.slot, owner or self._connection.owner, force=force)

    def emergency_off(self, by: str | None = None, reason: str = "", **params: Any) -> Run:
        """Run ``all_off`` on the slot's card before anything else; return its run.

        First hold the slot, and replace any other hold. The hold lasts until the slot is released. Then submit
        ``all_off`` to the emergency lane, which aborts the running operation.
        """
        with self._connection.reached():
            self._hold_for_emergency(by or whoami(), reason)
            run = self.run(self._connection.submit("all_off", self.slot, params, emergency=True))
            self._tell_worker()
        return run

    def status(self) -> SlotStatus:
        """Return the status of the slot: its worker, hold, lock, running operation and waiting runs."""
        with self._connection.reached():
            return slot_status(self._connection, self.slot)

    def queue(self) -> Sequence[Waiting]:
        """Return the waiting messages in the order in which they will be served; emergencies first."""
        with self._connection.reached():
            return self._connection.queues.waiting(self.slot)

    def registers(self) -> dict[str, RegisterValue]:
        """Return the newest value of each register that the slot's smurf server publishes, by path.

        A path has dots: ``AMCc.FpgaTopLevel.AmcCarrierCore.EM22xx.IOUT``.
        """
        with self._connection.reached():
            return Registers(self._connection.redis).read(self.slot)

    def history(self, count: int = 20) -> list[SessionHeader]:
        """Return the headers of the slot's newest records, newest first; ``Run.record`` reads a whole record."""
        with self._connection.reached():
            return self._connection.records.history(self.slot, count)

    def _hold_for_emergency(self, by: str, reason: str) -> None:
        """Hold the slot without an end, and replace any other hold, which could end before the card is off."""
        before = self._connection.holds.get(self.slot)
        note = f"emergency off{f': {reason}' if reason else ''}"
        if before is not None and before.owner != by:
            note += f"; before that, {before}"
        self._connection.holds.put(Hold(self.slot, by, note, time.time(), None, self.stream_id), force=True)

    def _tell_worker(self) -> bool:
        """Make the worker read the hold now; return whether it answered, or no worker is alive."""
        if not is_served(self._connection, self.slot, "control"):
            return True
        return bool(self._connection.app.control_worker(self.slot, "apply_hold"))
