"""Counters with the times at which they grew."""

from __future__ import annotations

from smurfq.bridge.steps import Drops


def test_drops_are_told_as_they_grow_and_since_a_time() -> None:
    count = 0
    drops = Drops(lambda: count)
    assert drops.grown(1.0) == 0
    count = 5
    assert drops.grown(2.0) == 5
    count = 7
    assert drops.grown(4.0) == 2
    assert drops.grown(5.0) == 0
    assert [drops.since(start) for start in (0.0, 2.0, 3.0, 4.0, 5.0)] == [7, 7, 2, 2, 0]
