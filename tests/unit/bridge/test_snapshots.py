"""The pace of snapshots."""

from __future__ import annotations

import itertools
import logging

import pytest

from smurfq.bridge.complaints import Complaints
from smurfq.bridge.snapshots import INTERVAL_S as SNAPSHOT_INTERVAL_S
from smurfq.bridge.snapshots import REST, SnapshotPace


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_first_snapshot_is_at_once_and_the_last_follows_the_last_change() -> None:
    clock, published = Clock(), []
    pace = SnapshotPace(lambda task: published.append((task, clock.now)), Complaints(logging.getLogger("test")), clock)
    start = clock.now
    for _ in range(100):
        pace.touched(["t"])
        pace.publish_due()
        clock.now += 0.01
    last_change = clock.now - 0.01
    while pace.wait_s(1.0) < 1.0:
        clock.now += pace.wait_s(1.0)
        pace.publish_due()
    times = [time for _, time in published]
    assert times[0] == start
    assert last_change <= times[-1] <= last_change + SNAPSHOT_INTERVAL_S
    assert all(b - a >= SNAPSHOT_INTERVAL_S - 1e-9 for a, b in itertools.pairwise(times))


def test_snapshots_that_take_long_are_made_less_often() -> None:
    clock = Clock()

    def publish(_task: str) -> None:
        clock.now += 0.1

    pace = SnapshotPace(publish, Complaints(logging.getLogger("test")), clock)
    pace.touched(["t"])
    pace.publish_due()
    pace.touched(["t"])
    assert pace.wait_s(60.0) == pytest.approx(REST * 0.1)
