"""Dropped datagrams: how many since a time, and what the records are told."""

from __future__ import annotations

import logging

from smurfq.bridge.buffer import Buffer
from smurfq.bridge.complaints import Complaints
from smurfq.bridge.drops import DropNotices, Drops
from smurfq.store.bridge import Counters


def test_drops_are_counted_as_they_grow_and_since_a_time() -> None:
    count = 0
    drops = Drops(lambda: count)
    assert drops.grown(1.0) == 0
    count = 5
    assert drops.grown(2.0) == 5
    count = 7
    assert drops.grown(4.0) == 2
    assert drops.grown(5.0) == 0
    assert [drops.since(start) for start in (0.0, 2.0, 3.0, 4.0, 5.0)] == [7, 7, 2, 2, 0]


def test_a_notice_is_due_until_it_is_written_and_then_at_most_once_a_second() -> None:
    now = 1000.0
    counters = Counters()
    notices = DropNotices(Buffer(1, 1), counters, Complaints(logging.getLogger("test")), lambda: now)
    assert not notices.text()
    counters.kernel_dropped = 3
    assert "3 by the kernel" in notices.text()
    counters.kernel_dropped = 4
    text = notices.text()
    assert "4 by the kernel" in text, "the first notice was not written"
    notices.written(text)
    assert not notices.text()
    counters.kernel_dropped = 6
    assert not notices.text()
    assert "2 by the kernel" in notices.text(at_once=True)
    now += 1.0
    assert "2 by the kernel" in notices.text()
