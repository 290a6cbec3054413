"""Assigns each message of a batch to the run that published it.

``attribute`` is a pure function. It takes what is known of the runs and the numbering, and returns what the batch
changes, which is committed once it is written. If it could not be written, the batch is attributed again, to other
runs if others run by then. Nothing here asks Redis, and nothing has to be undone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from smurfq.core import session, stages
from smurfq.core.messages import Message
from smurfq.core.publication import publication
from smurfq.core.sequence import SequenceChanges, Sequences
from smurfq.core.session import Event
from smurfq.core.strands import Arrival, Step
from smurfq.store.archive_list import FILE_TYPES, FileMessage
from smurfq.store.fence import Ran, Running

RECENT_S = 1.0  # for so long after a message arrived, a bridge on another host assigns it to the present run


class ArrivedMessage(NamedTuple):
    """A message, the address that it came from as the kernel packs it, and its time of arrival."""

    address: bytes
    time: float  # when the kernel received it, s since 1970
    message: Message


class RunState(NamedTuple):
    """The bridge's state of a run whose messages it has written."""

    task_id: str
    lost: int = 0  # messages known to be missing by their numbers
    applied: int = 0  # messages that this bridge wrote
    before: int = 0  # messages that earlier bridges wrote
    refused: int = 0  # messages that Redis rejected
    timestamps: Any = None  # the newest session data of the key from which stages are made
    seen: float = 0.0  # when this bridge first heard of the run, s of the monotonic clock


class PublisherRuns(NamedTuple):
    """The known runs of some publisher ids."""

    host: str  # where the bridge runs
    running: Mapping[str, Running]  # by publisher id
    recent: Mapping[str, Sequence[Ran]]  # earlier runs by publisher id, the newest first
    states: Mapping[str, RunState]  # by task id
    expected: Mapping[str, str]  # texts by key: ``running`` is up to date if Redis still has them


class RunChange(NamedTuple):
    """The additions of a batch to the record of one run."""

    before: RunState
    events: list[Event]
    messages: int  # how many messages of publishers the events were made of
    lost: int  # of the run, after the batch
    timestamps: Any

    def written(self) -> RunState:
        """The state of the run if its events have been written."""
        applied = self.before.applied + self.messages
        return self.before._replace(lost=self.lost, timestamps=self.timestamps, applied=applied)

    def rejected(self) -> RunState:
        """The state of the run if Redis rejected its events."""
        refused = self.before.refused + self.messages
        return self.before._replace(lost=self.lost, timestamps=self.timestamps, refused=refused)


class Changes(NamedTuple):
    """The changes by a batch."""

    runs: dict[str, RunChange]  # by task id; those to whose records something is added
    empty: int  # messages that add nothing to a record, as session data without keys
    sequences: SequenceChanges
    lost: int  # messages found to be missing, less those that arrived late
    duplicates: int
    unowned: list[tuple[str, float]]  # publisher id and time of arrival of each message that belongs to no run
    malformed: list[str]  # one description for each payload of the wrong type
    files: list[FileMessage]  # the messages that announce a file, in their order, also those that belong to no run


def attribute(
    batch: Iterable[ArrivedMessage], known: PublisherRuns, sequences: Sequences, now: float, notice: str = ""
) -> Changes:
    """Return the changes by ``batch``.

    Parameters
    ----------
    batch
        Messages in the order of their arrival.
    known
        What runs and ran under the publisher ids of the batch.
    sequences
        The numbering of all publishers before the batch.
    now
        The time, in s since 1970.
    notice
        A message of the bridge itself for each present run of ``known``.
    """
    numbers = SequenceChanges(sequences)
    drafts: dict[str, _Draft] = {}
    unowned: list[tuple[str, float]] = []
    malformed: list[str] = []
    files: list[FileMessage] = []
    lost = duplicates = 0
    for address, arrival, message in batch:
        source = (address, message.host, message.script, message.id)
        step = numbers.step(source, message.seq_no, message.time, start=message.type == "start")
        if step.arrival is Arrival.DUPLICATE:
            duplicates += 1
            continue
        lost += step.lost
        task_id = owner(message, arrival, known, now)
        draft = _draft(drafts, known, task_id)
        if message.type in FILE_TYPES:
            files.append(FileMessage.of(message, arrival, task_id if draft is not None else None))
        if draft is None:
            unowned.append((message.id, arrival))
        elif not draft.add(message, step):
            what = f"{message.type} of {message.id}, script {message.script}"
            malformed.append(f"{what}; see the record {task_id}")
    if notice:
        for running in known.running.values():
            if (draft := _draft(drafts, known, running.task_id)) is not None:
                draft.events.append(session.message(notice, now))
    runs, empty = {}, 0
    for task_id, draft in drafts.items():
        if (change := draft.change(now)).events:
            runs[task_id] = change
        else:
            empty += change.messages
    return Changes(runs, empty, numbers, lost, duplicates, unowned, malformed, files)


def owner(message: Message, arrival: float, known: PublisherRuns, now: float) -> str | None:
    """The id of the run that published ``message``; None if no run did.

    A message that waited, for Redis or behind many others, may be older than the present run. It belongs to the run
    that ran when it was sent. ``arrival`` is when the kernel received it, ``now`` the time of the same clock.
    """
    running = known.running.get(message.id)
    if running is not None and _is_of(running, message, arrival, known.host, now):
        return running.task_id
    for ran in known.recent.get(message.id, ()):
        sent = sent_at(message, arrival, ran.host, known.host)
        if sent is not None and ran.started <= sent <= ran.ended:
            return ran.task_id
    return None


def sent_at(message: Message, arrival: float, host: str, bridge_host: str) -> float | None:
    """Return the time at which a message was sent, by the clock of ``host``; None if it is not known.

    The clock of a publisher's process may be wrong. If the bridge runs on ``host``, the time of arrival is used.
    """
    if host == bridge_host:
        return arrival
    return message.time if message.host == host else None


def _is_of(running: Running, message: Message, arrival: float, bridge_host: str, now: float) -> bool:
    """Return whether a message was sent after ``running`` began; true if this is not known."""
    sent = sent_at(message, arrival, running.host, bridge_host)
    if sent is None or sent >= running.started or running.started > now:  # the last: its clock was set back
        return True
    return running.host != bridge_host and now - arrival < RECENT_S


class _Draft:
    """The change of one run while a batch is attributed."""

    __slots__ = ("events", "lost", "messages", "state", "timestamps")

    def __init__(self, state: RunState) -> None:
        self.state = state
        self.events: list[Event] = []
        self.messages = 0
        self.lost, self.timestamps = state.lost, state.timestamps

    def add(self, message: Message, step: Step) -> bool:
        """Add what a message says; false if its payload is of the wrong type."""
        if step.first:
            text = (
                f"publisher {message.script} was first heard at its message {message.seq_no}; those before are missing"
            )
            self.events.append(session.message(text, message.time))
        said = publication(message)
        self.events += said.events
        self.messages += 1
        if message.type == "session_data" and not said.malformed and stages.KEY in message.payload:
            value = message.payload[stages.KEY]
            self.events += [session.stage(name, time) for name, time in stages.new_stages(value, self.timestamps)]
            self.timestamps = value
        self.lost += step.lost
        return not said.malformed

    def change(self, now: float) -> RunChange:
        """Return the additions of the batch to the run."""
        if self.lost != self.state.lost:
            self.events.append(session.header(now, lost=max(0, self.lost)))
        return RunChange(self.state, self.events, self.messages, self.lost, self.timestamps)


def _draft(drafts: dict[str, _Draft], known: PublisherRuns, task_id: str | None) -> _Draft | None:
    """The draft of a run; None if nothing is known of it."""
    if task_id is None:
        return None
    draft = drafts.get(task_id)
    if draft is None and (state := known.states.get(task_id)) is not None:
        draft = drafts[task_id] = _Draft(state)
    return draft
