"""A slot in the role of an OCS agent: the session of each operation, and whether it may start."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from redis.exceptions import LockError

from smurfq.client import Run
from smurfq.client.connection import Connection
from smurfq.client.run_reader import read_header, read_record
from smurfq.client.status import running_now
from smurfq.client.waiting import is_served, plain_name, short
from smurfq.core import keys
from smurfq.core.session import SessionHeader, SessionRecord
from smurfq.core.slot import Lane, queue_name
from smurfq.errors import RecordNotFoundError, SlotBusyError, SlotError
from smurfq.operations import OPERATIONS, Operation

_LOCK_S: Final = 30.0
_TAIL_BATCHES: Final = 500


class Agent:
    """The slot of an instance id."""

    def __init__(self, instance_id: str, slot: str, connection: Connection) -> None:
        self.instance_id = instance_id
        self.slot = slot
        self.connection = connection

    def run(self, run_id: str) -> Run:
        """Return the run with this id."""
        return Run(run_id, connection=self.connection)

    def is_served(self, operation: Operation) -> bool:
        """Return whether a living worker would run an operation of the slot."""
        with self.connection.reached():
            return is_served(self.connection, self.slot, operation.lane)

    def submit(self, operation: Operation, params: Mapping[str, Any]) -> str:
        """Queue an operation and return its id; see ``Connection.submit``."""
        return self.connection.submit(operation.name, self.slot, params)

    def record(self, run_id: str) -> SessionRecord:
        """Return a run's record. While the run continues, the record has only the newest messages, for speed.

        Raises
        ------
        RecordNotFoundError
            No record has this id.
        """
        records = self.connection.records
        header = read_header(self.connection, run_id)
        if header.done:
            return read_record(self.connection, run_id)
        tail = records.tail(run_id, _TAIL_BATCHES)
        return SessionRecord.from_dict(
            {
                **header.to_dict(),
                "data": records.data(run_id),
                "messages": [[event["t"], event["text"]] for event in tail if event["k"] == "message"],
                "stages": [[event["name"], event["t"]] for event in tail if event["k"] == "stage"],
            }
        )

    def running(self, lane: Lane) -> SessionHeader | None:
        """Return the header of the run in a lane, if any. The control lane's worker also runs the emergency lane."""
        return running_now(self.connection, self.slot, "state" if lane == "state" else "control")

    def active(self, operation: Operation) -> str | None:
        """Return the id of the running or waiting run of an operation, if there is one."""
        running = self.running(operation.lane)
        if running is not None and running.op_name == operation.name:
            return running.session_id
        newest = self.connection.records.index.newest(self.slot, operation.name)
        if newest is not None and self._goes_on(newest):
            return newest
        waiting = self.connection.queues.waiting(self.slot)
        return next((item.task_id for item in waiting if plain_name(item.op_name) == operation.name), None)

    def last(self, operation: Operation) -> SessionRecord | None:
        """Return the record of an operation's running or waiting run, else of its newest run."""
        found = self.active(operation) or self.connection.records.index.newest(self.slot, operation.name)
        try:
            return self.record(found) if found is not None else None
        except RecordNotFoundError:
            return None

    def check_may_start(self, operation: Operation) -> None:
        """Check that an operation may be queued now.

        Raises
        ------
        SlotBusyError
            ``ocs.busy`` does not allow the operation to wait for the runs before it.
        SlotError
            No worker serves the slot, so a client that waits without a timeout would wait forever.
        """
        if not is_served(self.connection, self.slot, operation.lane):
            queue = queue_name(self.slot, operation.lane)
            raise SlotError(
                f"no worker serves {queue}, nothing was queued; `smurfq worker --slot {self.slot}` starts one",
                slot=self.slot,
            )
        refuses = _REFUSES[self.connection.settings.ocs.busy]
        if operation.lane == "emergency":
            return  # it runs before all waiting runs, and aborts the running one
        for what, task_id, doing in self._before(operation):
            if refuses(what, doing):
                raise SlotBusyError(
                    f"{operation.name} was not queued on {self.slot}: {what} {short(task_id)} is before it"
                    f"{' until somebody stops it' if is_endless(what, doing) else ''}; "
                    "`ocs.busy` of the site file sets which runs it may wait for",
                    slot=self.slot,
                )

    @contextmanager
    def starting(self, operation: Operation) -> Iterator[None]:
        """Prevent other OCS clients from starting the same operation during the block.

        Raises
        ------
        SlotBusyError
            Another client has been starting it for too long.
        """
        lock = self.connection.redis.lock(
            keys.starting(self.slot, operation.name), timeout=_LOCK_S, blocking_timeout=_LOCK_S
        )
        try:
            with lock:
                yield
        except LockError as cause:
            raise SlotBusyError(
                f"another client has been starting {operation.name} on {self.slot} for {_LOCK_S:g} s; "
                "`smurfq status` shows whether it runs",
                slot=self.slot,
            ) from cause

    def _before(self, operation: Operation) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        """Yield name, id and parameters of each run that would run before the operation."""
        running = self.running(operation.lane)
        if running is not None:
            yield running.op_name, running.session_id, running.params
        state = operation.lane == "state"
        for item in self.connection.queues.waiting(self.slot):
            if (item.queue == queue_name(self.slot, "state")) == state:
                yield plain_name(item.op_name), item.task_id, item.kwargs

    def _goes_on(self, run_id: str) -> bool:
        try:
            return not read_header(self.connection, run_id).done
        except RecordNotFoundError:
            return False


def is_endless(op_name: str, params: Mapping[str, Any]) -> bool:
    """Return whether an operation continues until somebody stops it."""
    found = OPERATIONS.get(op_name)
    return found is not None and found.process and params.get("duration") is None and not params.get("once")


_REFUSES: Final[Mapping[str, Callable[[str, Mapping[str, Any]], bool]]] = {
    "refuse": lambda _name, _params: True,
    "queue-finite": is_endless,
    "queue": lambda _name, _params: False,
}
