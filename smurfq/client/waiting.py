"""Explains why a run has not started yet: its place in the queue, a hold, a missing worker."""

from __future__ import annotations

from dataclasses import dataclass

from smurfq.client.connection import Connection
from smurfq.core.session import SessionHeader
from smurfq.core.slot import LANES, WORKFLOWS, Lane, publisher_id, queue_name, workflow_seats
from smurfq.store.fence import Running
from smurfq.store.holds import Hold
from smurfq.store.queues import Waiting

_NAMED_IN_FRONT = 2


@dataclass(frozen=True)
class WaitReason:
    """The reason why a run waits. ``place`` is 1 for the next run, None if its message is in no queue."""

    slot: str
    lane: Lane
    place: int | None
    in_front: tuple[Waiting, ...]
    running: Running | None
    hold: Hold | None
    served: bool
    starting: bool = False

    def __str__(self) -> str:
        if self.starting:
            return f"starting on {self.slot}"
        if self.place is None:
            text = f"on its way to the worker of {self.slot}"
        elif self.in_front:
            text = f"{_ordinal(self.place)} in the queue of {self.slot}, behind {self._front()}"
        else:
            text = f"next in the queue of {self.slot}"
        if self.running is not None:
            text += f"; {plain_name(self.running.op_name)} {short(self.running.task_id)} runs there"
        if self.hold is not None:
            text += f"; {self.hold}"
        if not self.served:
            whom = "--workflows" if self.slot == WORKFLOWS else f"--slot {self.slot}"
            text += f"; no worker serves {queue_name(self.slot, self.lane)}: `smurfq worker {whom}`"
        return text

    def _front(self) -> str:
        named = [f"{plain_name(item.op_name)} {short(item.task_id)}" for item in self.in_front[:_NAMED_IN_FRONT]]
        more = len(self.in_front) - len(named)
        return ", ".join(named) + (f" and {more} more" if more else "")


def why_waiting(connection: Connection, record: SessionHeader) -> WaitReason:
    """Return the reason why a queued run waits now."""
    waiting = connection.queues.waiting(record.slot)
    mine = next((item for item in waiting if item.task_id == record.session_id), None)
    lane = lane_of(record.slot, mine.queue) if mine else "control"
    served_with = _served_with(lane)
    line = [item for item in waiting if lane_of(record.slot, item.queue) in served_with]
    index = line.index(mine) if mine is not None else None
    running = connection.fence.running(publisher_id(record.slot, lane))
    return WaitReason(
        slot=record.slot,
        lane=lane,
        place=None if index is None else index + 1,
        in_front=tuple(line[:index]) if index else (),
        running=running,
        hold=connection.holds.get(record.slot) if lane == "control" else None,
        served=is_served(connection, record.slot, lane),
        starting=running is not None and running.task_id == record.session_id,
    )


def is_served(connection: Connection, slot: str, lane: Lane) -> bool:
    """Return whether a living worker has the lease of a slot's lane; the control worker serves emergencies too.

    If ``slot`` is ``workflows``, return whether any of the workflows' workers is alive.
    """
    if slot == WORKFLOWS:
        seats = workflow_seats(connection.settings.workflows.at_once)
        return any(connection.fence.lease_owner(seat) is not None for seat in seats)
    return connection.fence.lease_owner(queue_name(slot, "state" if lane == "state" else "control")) is not None


def lane_of(slot: str, queue: str) -> Lane:
    """Return the lane of a slot to which a queue belongs."""
    return next((lane for lane in LANES if queue == queue_name(slot, lane)), "control")


def short(task_id: str) -> str:
    """Return the first characters of an id, which are enough to identify it for a person."""
    return task_id[:8]


def plain_name(name: str) -> str:
    """Return an operation's name without Celery's prefix."""
    return name.removeprefix("smurfq.")


def _served_with(lane: Lane) -> tuple[Lane, ...]:
    return {"control": ("emergency", "control"), "emergency": ("emergency",), "state": ("state",)}[lane]  # type: ignore[return-value]


def _ordinal(number: int) -> str:
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"
