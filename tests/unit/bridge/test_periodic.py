"""Periodic jobs of the bridge."""

from __future__ import annotations

import logging
import threading

import pytest

from smurfq.bridge.complaints import Complaints
from smurfq.bridge.periodic import Periodic


def test_a_periodic_job_that_fails_stops_neither_itself_nor_the_others(caplog: pytest.LogCaptureFixture) -> None:
    good, bad = threading.Semaphore(0), threading.Semaphore(0)

    def fail() -> None:
        bad.release()
        raise RuntimeError("no luck")

    log = logging.getLogger("test")
    periodic = Periodic(Complaints(log), log)
    periodic.every(0.001, fail)
    periodic.every(0.001, good.release)
    periodic.start()
    try:
        assert all(semaphore.acquire(timeout=10.0) for semaphore in (good, bad) * 3)
    finally:
        periodic.finish()
        periodic.join(10.0)
    assert not periodic.is_alive()
    assert [record.getMessage() for record in caplog.records if "no luck" in record.getMessage()]
