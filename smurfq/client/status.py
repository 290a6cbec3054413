"""The status of a slot: its worker, hold, lock, running operation and queue."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from smurfq.client.connection import Connection
from smurfq.client.waiting import plain_name
from smurfq.core import keys
from smurfq.core.card_after import LeftOn
from smurfq.core.jsonsafe import loads
from smurfq.core.message_headers import OWNER
from smurfq.core.priorities import priority_name
from smurfq.core.progress import progress_of
from smurfq.core.published_registers import Alarm
from smurfq.core.session import BULK_FIELDS, Event, SessionHeader
from smurfq.core.slot import WORKER_LANES, Lane, publisher_id, queue_name
from smurfq.errors import RecordNotFoundError
from smurfq.store.bridge import Bridges, Health
from smurfq.store.feeds import G3_FILES, Block, Feeds
from smurfq.store.holds import Hold
from smurfq.store.left_on import LeftOnNotes
from smurfq.store.locks import Lock
from smurfq.store.queues import Waiting
from smurfq.store.registers import Registers

_STAGE_BATCHES = 200


@dataclass(frozen=True)
class WorkerStatus:
    """A worker of a slot: whether it is alive, and its report (host, pid, versions, since)."""

    lane: Lane
    alive: bool
    about: dict[str, Any]


@dataclass(frozen=True)
class RunStatus:
    """A run that is running now, with its newest ``stage`` and ``message``."""

    lane: Lane
    record: SessionHeader
    stage: str | None
    message: str | None
    elapsed_s: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return the run as a JSON object, without messages, data and log of its record."""
        return {
            "session_id": self.record.session_id,
            "lane": self.lane,
            "op_name": self.record.op_name,
            "status": self.record.status,
            "params": self.record.params,
            "start_time": self.record.start_time,
            "elapsed_s": self.elapsed_s,
            "stage": self.stage,
            "message": self.message,
            "degraded": self.record.degraded,
            "simulated": self.record.simulated,
            "lost": self.record.lost,
        }


@dataclass(frozen=True)
class SlotStatus:
    """The status of a slot: ``slot`` is its place, ``bridge`` the bridge to which its publishers send.

    ``g3_file`` is the g3 file that its smurf server closed last. ``alarms`` are the registers of its smurf server that
    are beyond the limits of the site.
    """

    slot: str
    stream_id: str
    workers: tuple[WorkerStatus, ...]
    hold: Hold | None
    running: tuple[RunStatus, ...]
    waiting: tuple[Waiting, ...]
    last: SessionHeader | None
    bridge_name: str
    bridge: Health | None
    lock: Lock | None = None
    left_on: LeftOn | None = None
    g3_file: Block | None = None
    alarms: tuple[Alarm, ...] = ()

    @property
    def alive(self) -> bool:
        """True if a living worker would run operations that are submitted to the slot now."""
        return self.workers[0].alive

    def to_dict(self) -> dict[str, Any]:
        """Return the status as a JSON object."""
        return {
            "slot": self.slot,
            "stream_id": self.stream_id,
            "alive": self.alive,
            "workers": [asdict(worker) for worker in self.workers],
            "hold": asdict(self.hold) if self.hold else None,
            "lock": asdict(self.lock) if self.lock else None,
            "g3_file": {"time": self.g3_file.timestamp, **self.g3_file.data} if self.g3_file else None,
            "alarms": [alarm.to_dict() for alarm in self.alarms],
            "left_on": self.left_on.to_dict() if self.left_on else None,
            "running": [run.to_dict() for run in self.running],
            "waiting": [waiting_dict(item) for item in self.waiting],
            "last": summary(self.last) if self.last else None,
            "bridge_name": self.bridge_name,
            "bridge": asdict(self.bridge) if self.bridge else None,
        }


def waiting_dict(item: Waiting) -> dict[str, Any]:
    """Return a waiting message as a JSON object, without its raw text."""
    return {
        "session_id": item.task_id,
        "op_name": plain_name(item.op_name),
        "queue": item.queue,
        "priority": item.priority,
        "priority_name": priority_name(item.priority),
        "submitted_by": item.headers.get(OWNER),
        "kwargs": item.kwargs,
    }


def summary(record: SessionHeader) -> dict[str, Any]:
    """Return a record's header as a JSON object, without messages, data, files, stages and log."""
    return {name: value for name, value in record.to_dict().items() if name not in BULK_FIELDS}


def slot_status(connection: Connection, slot: str) -> SlotStatus:
    """Return the present status of a slot."""
    return slots_status(connection, [slot])[slot]


def slots_status(connection: Connection, slots: Sequence[str]) -> dict[str, SlotStatus]:
    """Return the present status of several slots, in a few round trips for any number of slots."""
    workers = _workers(connection, slots)
    running = _running(connection, slots)
    holds, locks = connection.holds.of(slots), connection.locks.of(slots)
    waiting = connection.queues.waiting_of(slots)
    last = connection.records.last(slots)
    left_on = LeftOnNotes(connection.redis).of(slots)
    bridges = bridges_health(connection)
    bridge_names = {slot: _bridge_name(workers[slot], connection.settings.bridge_name) for slot in slots}
    stream_ids = connection.slot_names.stream_ids()
    alarms = Registers(connection.redis).alarms()
    g3_files = {block.slot: block for block in Feeds(connection.redis).last(G3_FILES)}
    return {
        slot: SlotStatus(
            slot=slot,
            stream_id=stream_ids[slot],
            workers=workers[slot],
            hold=holds.get(slot),
            running=running[slot],
            waiting=tuple(waiting[slot]),
            last=last.get(slot),
            bridge_name=bridge_names[slot],
            bridge=bridges.get(bridge_names[slot]),
            lock=locks.get(slot),
            left_on=left_on.get(slot),
            g3_file=g3_files.get(slot),
            alarms=tuple(alarms.get(slot, ())),
        )
        for slot in slots
    }


def bridges_health(connection: Connection) -> dict[str, Health | None]:
    """Return health and counters of each bridge by name; None for one that is dead. A stopped bridge is left out."""
    return Bridges(connection.redis).health()


def _bridge_name(workers: Sequence[WorkerStatus], default: str) -> str:
    """Return the name of the bridge to which a slot's workers send; ``default`` if none of them has reported it."""
    return next((worker.about["bridge"] for worker in workers if "bridge" in worker.about), default)


def _workers(connection: Connection, slots: Sequence[str]) -> dict[str, tuple[WorkerStatus, ...]]:
    with connection.redis.pipeline(transaction=False) as pipe:
        for slot, lane in product(slots, WORKER_LANES):
            pipe.hgetall(keys.worker(publisher_id(slot, lane)))
        told = iter(pipe.execute())
    owners = connection.fence.lease_owners([queue_name(slot, lane) for slot, lane in product(slots, WORKER_LANES)])

    def worker(slot: str, lane: Lane) -> WorkerStatus:
        about = {str(name): loads(text) for name, text in next(told).items()}
        return WorkerStatus(lane, queue_name(slot, lane) in owners, about)

    return {slot: tuple(worker(slot, lane) for lane in WORKER_LANES) for slot in slots}


def running_now(connection: Connection, slot: str, lane: Lane) -> SessionHeader | None:
    """Return the header of the run that is running on a lane, if there is one.

    A worker ends the record before it removes the note of the present run, so a run whose record is done is left out.
    """
    running = connection.fence.running(publisher_id(slot, lane))
    if running is None:
        return None
    try:
        record = connection.records.header(running.task_id)
    except RecordNotFoundError:
        return None
    return None if record.done else record


def _running(connection: Connection, slots: Sequence[str]) -> dict[str, tuple[RunStatus, ...]]:
    lanes = {publisher_id(slot, lane): (slot, lane) for slot, lane in product(slots, WORKER_LANES)}
    noted = connection.fence.running_of(list(lanes))
    headers = connection.records.known_headers([running.task_id for running in noted.values()])
    alive = {
        publisher: headers[running.task_id]
        for publisher, running in noted.items()
        if running.task_id in headers and not headers[running.task_id].done
    }
    tails = connection.records.tails([record.session_id for record in alive.values()], _STAGE_BATCHES)
    found: dict[str, tuple[RunStatus, ...]] = dict.fromkeys(slots, ())
    for (publisher, record), recent in zip(alive.items(), tails, strict=True):
        slot, lane = lanes[publisher]
        found[slot] += (_run_status(lane, record, recent),)
    return found


def _run_status(lane: Lane, record: SessionHeader, recent: list[Event]) -> RunStatus:
    elapsed_s = time.time() - record.start_time if record.start_time else None
    return RunStatus(lane, record, *progress_of(recent), elapsed_s)
