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
from smurfq.core.publication import file_path, g3_session, publication
from smurfq.core.sequence import SequenceChanges, Sequences
from smurfq.core.session import Event
from smurfq.core.strands import Arrival, Step
from smurfq.store.archive_list import FILE_TYPES, FileMessage
from smurfq.store.fence import Ran, Running

RECENT_S = 1.0  # for so long after a message arrived, a bridge on another host assigns it to the present run


class ArrivedMessage(NamedTuple):
    """A message, the address that it came from as the kernel packs it, its time of arrival, and its publisher."""

    address: bytes
    time: float  # when the kernel received it, s since 1970
    message: Message
    publisher: str  # the lane of its slot, whose runs it may belong to
    server: bool = False  # whether it is of the slot's smurf server, which publishes whether a run exists or not


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


class G3File(NamedTuple):
    """A g3 file that a smurf server has closed, and the run whose stream wrote it, if a run did."""

    publisher: str
    path: str
    time: float
    task_id: str | None

    def to_block(self) -> dict[str, Any]:
        """Return the data of a block of the feed of g3 files."""
        return {"path": self.path, "session_id": g3_session(self.path), "record": self.task_id}


class Changes(NamedTuple):
    """The changes by a batch."""

    runs: dict[str, RunChange]  # by task id; those to whose records something is added
    empty: int  # messages that add nothing to a record, as session data without keys
    sequences: SequenceChanges
    lost: int  # messages found to be missing, less those that arrived late
    duplicates: int
    unowned: list[tuple[str, float]]  # lane and time of arrival of each script's message that belongs to no run
    g3_files: list[G3File]  # the files of smurf servers, in their order
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
    assigned = _Assigned(known, now)
    lost = duplicates = 0
    for arrived in batch:
        message = arrived.message
        source = (arrived.address, message.host, message.script, message.id)
        step = numbers.step(source, message.seq_no, message.time, start=message.type == "start")
        if step.arrival is Arrival.DUPLICATE:
            duplicates += 1
            continue
        lost += step.lost
        if not arrived.server or message.type == "g3_file":  # the start and end of a server belong nowhere
            assigned.add(arrived, step)
    if notice:
        for running in known.running.values():
            if (draft := assigned.draft(running.task_id)) is not None:
                draft.events.append(session.message(notice, now))
    runs, empty = {}, 0
    for task_id, draft in assigned.drafts.items():
        if (change := draft.change(now)).events:
            runs[task_id] = change
        else:
            empty += change.messages
    return Changes(
        runs=runs,
        empty=empty,
        sequences=numbers,
        lost=lost,
        duplicates=duplicates,
        unowned=assigned.unowned,
        g3_files=assigned.g3_files,
        malformed=assigned.malformed,
        files=assigned.files,
    )


class _Assigned:
    """The messages of a batch that have been assigned to runs so far."""

    def __init__(self, known: PublisherRuns, now: float) -> None:
        self._known = known
        self._now = now
        self.drafts: dict[str, _Draft] = {}
        self.unowned: list[tuple[str, float]] = []
        self.g3_files: list[G3File] = []
        self.files: list[FileMessage] = []
        self.malformed: list[str] = []

    def add(self, arrived: ArrivedMessage, step: Step) -> None:
        """Assign a message to its run."""
        message = arrived.message
        if arrived.server:
            task_id = streaming_run(g3_session(file_path(message.payload)), arrived.publisher, self._known)
        else:
            task_id = owner(message, arrived.publisher, arrived.time, self._known, self._now)
        draft = self.draft(task_id)
        if message.type in FILE_TYPES:
            self.files.append(FileMessage.of(message, arrived.time, task_id if draft is not None else None))
        if arrived.server:
            self._add_g3_file(arrived, draft)
        elif draft is None:
            self.unowned.append((arrived.publisher, arrived.time))
        elif not draft.add(message, step):
            what = f"{message.type} of {message.id}, script {message.script}"
            self.malformed.append(f"{what}; see the record {task_id}")

    def draft(self, task_id: str | None) -> _Draft | None:
        """The draft of a run; None if nothing is known of it."""
        if task_id is None:
            return None
        draft = self.drafts.get(task_id)
        if draft is None and (state := self._known.states.get(task_id)) is not None:
            draft = self.drafts[task_id] = _Draft(state)
        return draft

    def _add_g3_file(self, arrived: ArrivedMessage, draft: _Draft | None) -> None:
        """Add a file of a smurf server to its run. The message is not one of the run's own, which are counted."""
        message, path = arrived.message, file_path(arrived.message.payload)
        if path is None:
            self.malformed.append(f"{message.type} of {message.id}: the payload has no path")
            return
        task_id = draft.state.task_id if draft is not None else None
        self.g3_files.append(G3File(arrived.publisher, path, message.time, task_id))
        if draft is not None:
            draft.events += publication(message).events


def streaming_run(session: int | None, publisher: str, known: PublisherRuns) -> str | None:
    """The id of the run during which a g3 session began; None if none ran then: somebody else opened the stream.

    A session's id is the second in which it began, by the clock of the smurf server.
    """
    if session is None:
        return None
    running = known.running.get(publisher)
    if running is not None and session >= int(running.started):
        return running.task_id
    ran = (one for one in known.recent.get(publisher, ()) if int(one.started) <= session <= one.ended)
    return next((one.task_id for one in ran), None)


def owner(message: Message, publisher: str, arrival: float, known: PublisherRuns, now: float) -> str | None:
    """The id of the run of the lane ``publisher`` that published ``message``; None if no run did.

    A message that waited, for Redis or behind many others, may be older than the present run. It belongs to the run
    that ran when it was sent. ``arrival`` is when the kernel received it, ``now`` the time of the same clock.
    """
    running = known.running.get(publisher)
    if running is not None and _is_of(running, message, arrival, known.host, now):
        return running.task_id
    for ran in known.recent.get(publisher, ()):
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
