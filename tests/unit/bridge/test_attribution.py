"""The run to which a message belongs, by the known times of the runs."""

from __future__ import annotations

from smurfq.bridge.attribution import RECENT_S, Task, Tasks, sent_at
from smurfq.bridge.steps import MERGED_S, STEPS_KEPT, Steps, Unowned
from smurfq.core.messages import Message
from smurfq.core.sequence import Arrival, Step
from smurfq.store.fence import Ran, Running

SLOT = "crate1slot2"
HOUR_S = 3600.0


def message(time: float, host: str = "server") -> Message:
    return Message(host, SLOT, "a script", time, 1, "session_log", "hello")


def owner_of(
    sent: Message, arrival: float, *, now: float | None = None, bridge: str = "server", started: float = 2000.0
) -> str | None:
    """Who gets a message: ``earlier`` ran from 1000 to 1900 s, ``runs`` runs since ``started``."""
    tasks = Tasks(None, bridge)  # type: ignore[arg-type]
    running = Running("runs", "run", SLOT, SLOT, "server", "lease", started)
    tasks._tasks.update(runs=Task("runs"), earlier=Task("earlier"))
    tasks._ran[SLOT] = [Ran("earlier", "server", 1000.0, 1900.0)]
    found = tasks.owner(sent, arrival, running, arrival if now is None else now)
    return found.task_id if found is not None else None


def test_the_kernels_time_counts_and_not_the_publishers_clock() -> None:
    for off_s in (-HOUR_S, 0.0, HOUR_S):
        assert owner_of(message(2100.0 + off_s), 2100.0) == "runs"
        assert owner_of(message(1500.0 + off_s), 1500.0, now=2100.0) == "earlier"
        assert owner_of(message(1950.0 + off_s), 1950.0, now=2100.0) is None


def test_times_are_ignored_if_the_clock_was_set_back_during_the_run() -> None:
    assert owner_of(message(1500.0), 1500.0, started=1500.0 + HOUR_S) == "runs"


def test_a_bridge_on_another_host_trusts_what_it_sees_for_a_moment_and_then_the_publisher() -> None:
    for off_s in (-HOUR_S, 0.0, HOUR_S):
        assert owner_of(message(2100.0 + off_s), 5000.0, bridge="elsewhere") == "runs"
    late = 5000.0 + 2 * RECENT_S
    assert owner_of(message(1500.0), 5000.0, now=late, bridge="elsewhere") == "earlier"
    assert owner_of(message(2100.0), 5000.0, now=late, bridge="elsewhere") == "runs"
    assert owner_of(message(1500.0, "a third"), 5000.0, now=late, bridge="elsewhere") == "runs"


def test_when_a_message_was_sent_is_known_by_the_host_whose_clock_is_asked_for() -> None:
    assert sent_at(message(1.0), 2.0, "server", "server") == 2.0
    assert sent_at(message(1.0), 2.0, "server", "elsewhere") == 1.0
    assert sent_at(message(1.0, "a third"), 2.0, "server", "elsewhere") is None


def test_messages_of_no_run_are_counted_by_publisher_since_a_time() -> None:
    unowned = Unowned()
    for at in (10.0, 20.0, 30.0):
        unowned.add(SLOT, at)
    unowned.add("crate1slot3", 30.0)
    assert [unowned.since(SLOT, start) for start in (5.0, 15.0, 20.0, 31.0)] == [3, 2, 2, 0]
    assert unowned.since("crate1slot4", 0.0) == 0


def test_steps_that_come_at_once_are_one_and_none_is_lost_from_the_count() -> None:
    steps = Steps()
    for number in range(3 * STEPS_KEPT):
        steps.add(1, 100.0 + number * MERGED_S / 1000)
    assert steps.since(100.0) == 3 * STEPS_KEPT
    assert steps.since(100.0 + 3 * MERGED_S) == 0


def test_a_task_writes_its_loss_only_when_it_changed() -> None:
    task = Task("t")
    message = Message("h", "crate1slot2", "s", 1.0, 0, "session_log", "text")
    assert task.take(message, Step(Arrival.NEW, 3))
    assert [event["k"] for event in task.pending(2.0)] == ["message", "header"]
    assert task.written() == 1
    task.take(message, Step(Arrival.NEW))
    assert [event["k"] for event in task.pending(2.0)] == ["message"]
    assert task.drop() == 1
    assert task.applied == 1
    task.take(message, Step(Arrival.LATE, -1))
    assert task.pending(2.0)[-1]["set"] == {"lost": 2}
