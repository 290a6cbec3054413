"""Complaints are logged at most once in an interval, with their count."""

from __future__ import annotations

import logging

import pytest

from smurfq.bridge.complaints import INTERVAL_S, Complaints


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_complaints_are_said_once_an_interval_with_their_count(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    complaints = Complaints(logging.getLogger("test"), clock)
    for number in range(100):
        complaints.add("bad", f"hint {number}")
    complaints.add("other", "hint")
    assert [record.getMessage() for record in caplog.records] == ["bad (1): hint 0", "other (1): hint"]
    complaints.say_due()
    clock.now += INTERVAL_S
    complaints.say_due()
    complaints.say_due()
    assert [record.getMessage() for record in caplog.records][2:] == ["bad (99): hint 99"]
