"""Assigns each message to the run that published it."""

from __future__ import annotations

import socket
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from smurfq.core import keys, session, stages
from smurfq.core.jsonsafe import loads
from smurfq.core.messages import Message
from smurfq.core.publication import publication
from smurfq.core.sequence import Step
from smurfq.core.session import Event
from smurfq.store.connection import Client
from smurfq.store.fence import Ran, Running, parse_ran, parse_running
from smurfq.store.record_batches import WRITTEN

TASKS_KEPT = 500
RECENT_S = 1.0  # a bridge on another host trusts its own eyes for so long after a message has reached it


@dataclass
class Task:
    """What the bridge knows of a task whose messages it has seen."""

    task_id: str
    lost: int = 0
    lost_written: int = 0
    applied: int = 0  # messages that this bridge wrote
    before: int = 0  # messages that earlier bridges wrote
    refused: int = 0  # messages that Redis would not take
    timestamps: Any = None  # the newest session data of the key from which stages are made
    events: list[Event] = field(default_factory=list)  # not yet written
    taken: int = 0  # messages not yet written
    seen: float = field(default_factory=time.monotonic)  # when this bridge first heard that it runs
    _mark: tuple[int, Any, list[Event], int] | None = None

    def mark(self) -> None:
        """Remember how it stands, unless that was done since the last ``written`` or ``drop``."""
        if self._mark is None:
            self._mark = (self.lost, self.timestamps, list(self.events), self.taken)

    def roll_back(self) -> None:
        """Stand again as at the mark."""
        if self._mark is not None:
            self.lost, self.timestamps, self.events, self.taken = self._mark
            self._mark = None

    def take(self, message: Message, step: Step) -> bool:
        """Add what a message says to the events to be written; false if its payload was of the wrong type."""
        said = publication(message)
        self.events += said.events
        self.taken += 1
        if message.type == "session_data" and not said.malformed and stages.KEY in message.payload:
            value = message.payload[stages.KEY]
            self.events += [session.stage(name, time) for name, time in stages.new_stages(value, self.timestamps)]
            self.timestamps = value
        self.lost += step.lost
        return not said.malformed

    def pending(self, now: float) -> list[Event]:
        """All events not yet written."""
        if self.lost == self.lost_written:
            return self.events
        return [*self.events, session.header(now, lost=max(0, self.lost))]

    def written(self) -> int:
        """How many messages have been written by this; they count as applied."""
        count = self._clear()
        self.applied += count
        return count

    def drop(self) -> int:
        """How many messages could not be written; they count as refused."""
        count = self._clear()
        self.refused += count
        return count

    def _clear(self) -> int:
        count, self.taken = self.taken, 0
        self.events, self.lost_written, self._mark = [], self.lost, None
        return count


class Tasks:
    """The tasks seen lately, and what runs under each publisher id."""

    def __init__(self, client: Client, host: str | None = None) -> None:
        self._client = client
        self._host = host or socket.gethostname()
        self._tasks: OrderedDict[str, Task] = OrderedDict()
        self._running: dict[str, Running] = {}
        self._texts: dict[str, str] = {}  # as Redis had them when asked last; empty where nothing ran
        self._ran: dict[str, list[Ran]] = {}  # lately, the newest first

    def look_up(self, publishers: Iterable[str]) -> dict[str, Running]:
        """What runs now under each of the publisher ids; three round trips at most, one when no task is new.

        The answer may be out of date as soon as it is there: what is written by it is written on condition, see
        ``expected``.
        """
        names = sorted(publishers)
        if not names:
            return {}
        texts: list[str | None] = self._client.mget([keys.running(name) for name in names])  # type: ignore[assignment]
        changed = [name for name, text in zip(names, texts, strict=True) if self._texts.get(name) != (text or "")]
        self._read_ran(changed)
        self._texts.update((name, text or "") for name, text in zip(names, texts, strict=True))
        found = {name: running for name, text in zip(names, texts, strict=True) if (running := parse_running(text))}
        ran = [ran.task_id for name in changed for ran in reversed(self._ran[name])]
        self._keep([*ran, *(running.task_id for running in found.values())])
        self._running.update(found)
        return found

    def _read_ran(self, publishers: list[str]) -> None:
        if not publishers:
            return
        with self._client.pipeline(transaction=False) as pipe:
            for name in publishers:
                pipe.lrange(keys.recent_runs(name), 0, -1)
            for name, texts in zip(publishers, pipe.execute(), strict=True):
                self._ran[name] = [parse_ran(text) for text in texts]

    def known(self, publishers: Iterable[str]) -> dict[str, Running] | None:
        """What ran under each of the publisher ids when it was looked up last; None if one never was. No round trip."""
        found = {}
        for name in publishers:
            text = self._texts.get(name)
            if text is None:
                return None
            if text:
                running = self._running[name]
                if running.task_id not in self._tasks:
                    return None
                self._tasks.move_to_end(running.task_id)
                found[name] = running
        return found

    def expected(self, publishers: Iterable[str]) -> dict[str, str]:
        """The texts that Redis must still have, by key, for what was looked up or known to be true."""
        return {keys.running(name): self._texts[name] for name in publishers}

    def owner(self, message: Message, arrival: float, running: Running | None, now: float) -> Task | None:
        """The task to which ``message`` belongs when ``running`` runs under its id; None if it belongs to none.

        A message that waited, for Redis or behind many others, may be older than what runs now; it goes to the task
        that ran when it was sent. ``arrival`` is when the kernel received it, ``now`` the time of the same clock.
        """
        if running is not None and self._is_of(running, message, arrival, now):
            return self._tasks[running.task_id]
        for ran in self._ran.get(message.id, ()):
            sent = sent_at(message, arrival, ran.host, self._host)
            if sent is not None and ran.started <= sent <= ran.ended:
                return self._tasks.get(ran.task_id)
        return None

    def _is_of(self, running: Running, message: Message, arrival: float, now: float) -> bool:
        """Whether a message was sent since ``running`` began, as far as that can be known."""
        sent = sent_at(message, arrival, running.host, self._host)
        if sent is None or sent >= running.started or running.started > now:  # a clock set back since says nothing
            return True
        return running.host != self._host and now - arrival < RECENT_S

    def get(self, task_id: str) -> Task | None:
        """What is known of a task; None if no message of it has been seen."""
        return self._tasks.get(task_id)

    def _keep(self, task_ids: list[str]) -> None:
        """Know these tasks, however many, and of the others those that were asked for last."""
        self._load([task_id for task_id in task_ids if task_id not in self._tasks])
        for task_id in task_ids:
            self._tasks.move_to_end(task_id)
        while len(self._tasks) > max(TASKS_KEPT, len(task_ids)):
            self._tasks.popitem(last=False)

    def _load(self, task_ids: list[str]) -> None:
        """Begin with what an earlier bridge may have written of these tasks."""
        if not task_ids:
            return
        with self._client.pipeline(transaction=False) as pipe:
            for task_id in task_ids:
                pipe.hmget(keys.record(task_id), ["lost", WRITTEN])
                pipe.hget(keys.data(task_id), stages.KEY)
            answers = pipe.execute()
        for index, task_id in enumerate(task_ids):
            lost_text, written = answers[2 * index]
            lost, known = int(loads(lost_text or "0")), answers[2 * index + 1]
            stamps = loads(known) if known else None
            self._tasks[task_id] = Task(task_id, lost, lost, before=int(written or 0), timestamps=stamps)

    def vanished(self, task: Task) -> int:
        """How many of a task's messages were written to Redis and are gone from there: it has lost data."""
        written: Any = self._client.hget(keys.record(task.task_id), WRITTEN)
        return max(0, task.before + task.applied - int(written or 0))


def sent_at(message: Message, arrival: float, host: str, bridge_host: str) -> float | None:
    """When a message was sent, by the clock of ``host``; None where that is not known.

    The clock of a publisher's process may be wrong. Where the bridge runs on ``host``, its kernel tells the time.
    """
    if host == bridge_host:
        return arrival
    return message.time if message.host == host else None
