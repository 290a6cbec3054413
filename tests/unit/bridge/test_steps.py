"""Counts of how much came since a time."""

from __future__ import annotations

from smurfq.bridge.steps import MERGED_S, STEPS_KEPT, Steps, Unowned

SLOT = "crate1slot2"


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
