"""Whatever publishers send, and however often a batch is attributed again: nothing is lost or counted twice.

A plan is a history of two publisher ids. On each, runs follow each other, with pauses in which nothing runs. While
messages are sent, some are dropped on the way and some arrive twice. The bridge gets them in batches. Each batch may
fail to be written several times, and what the bridge knew of the runs may be out of date at the first attempt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from smurfq.bridge.attribution import ArrivedMessage, Changes, PublisherRuns, RunState, attribute
from smurfq.core.messages import Message
from smurfq.core.sequence import Sequences
from smurfq.store.fence import Ran, Running

PUBLISHERS = ("crate1slot2", "crate1slot3")
HOST = "server"
LATER = 1e6
FATES = ("sent", "sent", "sent", "dropped", "twice")


@dataclass
class Plan:
    """What was sent, what of it arrived, and which run of each publisher id ran when."""

    arrived: list[ArrivedMessage] = field(default_factory=list)
    runs: dict[str, list[Ran]] = field(default_factory=lambda: {name: [] for name in PUBLISHERS})
    owners: dict[str, str | None] = field(default_factory=dict)  # by the text of each message that arrived
    copies: int = 0
    dropped: int = 0  # messages that a later message of their source shows to be missing

    def known(self, now: float, states: dict[str, RunState]) -> PublisherRuns:
        """What a bridge is told that asks at ``now``."""
        running, recent = {}, {}
        for name, runs in self.runs.items():
            began = [run for run in runs if run.started <= now]
            recent[name] = [run for run in reversed(began) if run.ended <= now]
            for run in began:
                states.setdefault(run.task_id, RunState(run.task_id))
                if now < run.ended:
                    running[name] = Running(run.task_id, "run", name, name, HOST, "lease", run.started)
        return PublisherRuns(HOST, running, recent, states, {})


@st.composite
def plans(draw: Callable[[Any], Any]) -> Plan:
    plan = Plan()
    now = 0.0
    present: dict[str, tuple[str, float]] = {}
    unseen: dict[tuple[str, str], int] = {}
    numbers: dict[tuple[str, str], int] = {}
    actions = st.one_of(
        st.tuples(st.sampled_from(PUBLISHERS), st.sampled_from(["begin", "end"]), st.none()),
        *(st.tuples(st.sampled_from(PUBLISHERS), st.sampled_from(FATES), st.sampled_from("ab")) for _ in range(4)),
    )
    for name, action, script in draw(st.lists(actions, max_size=60)):
        now += 1.0
        if action in ("begin", "end"):
            if name in present:
                task_id, started = present.pop(name)
                plan.runs[name].append(Ran(task_id, HOST, started, now - 0.75))
            if action == "begin":
                present[name] = (f"{name} run {now:.0f}", now - 0.5)
            continue
        source = (name, script)
        number = numbers[source] = numbers.get(source, -1) + 1
        if action == "dropped":
            unseen[source] = unseen.get(source, 0) + 1
            continue
        text = f"{name} {script} {number}"
        plan.dropped += unseen.pop(source, 0)
        plan.owners[text] = present[name][0] if name in present else None
        message = Message(HOST, name, script, now, number, "session_log", text)
        plan.arrived += [ArrivedMessage(script.encode(), now, message, message.id)] * (2 if action == "twice" else 1)
        plan.copies += action == "twice"
    for name, (task_id, started) in present.items():
        plan.runs[name].append(Ran(task_id, HOST, started, LATER))
    return plan


@dataclass
class Result:
    """What a bridge has written and counted."""

    events: dict[str, list[Any]] = field(default_factory=dict)
    states: dict[str, RunState] = field(default_factory=dict)
    lost: int = 0
    duplicates: int = 0
    unowned: int = 0

    def texts(self) -> dict[str, list[str]]:
        return {
            task_id: [
                event["text"] for event in events if event["k"] == "message" and "first heard" not in event["text"]
            ]
            for task_id, events in self.events.items()
        }


def bridge(plan: Plan, lengths: list[int], failures: list[int], *, stale: bool) -> Result:
    """What a bridge makes of ``plan``: batch ``i`` is ``lengths[i]`` messages long and fails ``failures[i]`` times."""
    sequences, result, at, number = Sequences(), Result(), 0, 0
    while at < len(plan.arrived):
        batch = plan.arrived[at : at + lengths[number % len(lengths)]]
        now = batch[-1].time
        if stale:
            attribute(batch, plan.known(batch[0].time - 1.0, result.states), sequences, now)
        for _ in range(failures[number % len(failures)]):
            attribute(batch, plan.known(now, result.states), sequences, now)
        changes = attribute(batch, plan.known(now, result.states), sequences, now)
        commit(changes, sequences, result)
        at, number = at + len(batch), number + 1
    return result


def commit(changes: Changes, sequences: Sequences, result: Result) -> None:
    sequences.commit(changes.sequences)
    for task_id, change in changes.runs.items():
        result.events.setdefault(task_id, []).extend(change.events)
        result.states[task_id] = change.written()
    result.lost += changes.lost
    result.duplicates += changes.duplicates
    result.unowned += len(changes.unowned)


LENGTHS = st.lists(st.integers(1, 12), min_size=1, max_size=6)
FAILURES = st.lists(st.integers(0, 2), min_size=1, max_size=6)


@given(plans(), LENGTHS, FAILURES, st.booleans())
def test_each_message_is_written_once_to_the_run_that_ran_when_it_was_sent_in_order(
    plan: Plan, lengths: list[int], failures: list[int], stale: bool
) -> None:
    result = bridge(plan, lengths, failures, stale=stale)
    expected: dict[str, list[str]] = {}
    for text, task_id in plan.owners.items():
        if task_id is not None:
            expected.setdefault(task_id, []).append(text)
    assert result.texts() == expected
    assert result.unowned == sum(task_id is None for task_id in plan.owners.values())
    assert {name: state.applied for name, state in result.states.items() if state.applied} == {
        task_id: len(texts) for task_id, texts in expected.items()
    }


@given(plans(), LENGTHS, FAILURES, st.booleans())
def test_missing_messages_and_copies_are_counted_once(
    plan: Plan, lengths: list[int], failures: list[int], stale: bool
) -> None:
    result = bridge(plan, lengths, failures, stale=stale)
    assert result.lost == plan.dropped
    assert result.duplicates == plan.copies
    for task_id, events in result.events.items():
        written = [event["set"]["lost"] for event in events if event["k"] == "header"]
        assert (written or [0])[-1] == result.states[task_id].lost


@given(plans(), LENGTHS, FAILURES, st.booleans())
def test_a_batch_that_failed_leaves_no_trace(plan: Plan, lengths: list[int], failures: list[int], stale: bool) -> None:
    assert bridge(plan, lengths, failures, stale=stale) == bridge(plan, lengths, [0], stale=False)


@given(plans(), st.integers(0, 60))
def test_the_same_arguments_give_the_same_changes_and_stay_as_they_are(plan: Plan, committed: int) -> None:
    sequences, result = Sequences(), Result()
    known = plan.known(LATER - 1.0, result.states)
    commit(attribute(plan.arrived[:committed], known, sequences, LATER), sequences, result)
    before = dict(result.states)
    first, second = (attribute(plan.arrived[committed:], known, sequences, LATER, "notice") for _ in range(2))
    assert first._replace(sequences=second.sequences) == second
    assert first.sequences.positions() == second.sequences.positions()
    assert result.states == before
