"""A scan that does not end is aborted and named; other errors of a scan are unchanged."""

from __future__ import annotations

import signal
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from smurfq.config import Settings
from smurfq.config.sections import Limits
from smurfq.errors import OperationFailedError
from smurfq.smurf_control.scanning import _SCANS, limit_scans

SLOT = "crate1slot2"


def limited(scan: Any, limit_s: float) -> Any:
    """A control whose every scan is ``scan``, with a limit."""
    control = SimpleNamespace(**dict.fromkeys(_SCANS, scan))
    session: Any = SimpleNamespace(settings=Settings(limits=Limits(scan_s=limit_s)), slot=SLOT)
    limit_scans(control, session)
    return control


def test_a_scan_that_does_not_end_is_named_with_its_band() -> None:
    control = limited(lambda *_: time.sleep(600), 0.05)
    with pytest.raises(OperationFailedError, match=r"crate1slot2 did not end its eta scan of band 3 within 0\.05 s"):
        control.run_serial_eta_scan(3)
    with pytest.raises(OperationFailedError, match=r"did not end its raw capture within 0\.05 s"):
        control.read_stream_data_daq(2**19)


def test_pysmurfs_own_timeout_has_the_same_message() -> None:
    def scan(_band: int) -> None:
        raise Exception("Timeout waiting for PVs to update.")

    with pytest.raises(OperationFailedError, match="gradient descent of band 5 within pysmurf's own limit"):
        limited(scan, 600).run_serial_gradient_descent(5)


def test_results_and_other_errors_of_a_scan_pass_and_the_timer_is_stopped() -> None:
    before = signal.getsignal(signal.SIGALRM)
    control = limited(lambda band, **more: (band, more), 600)
    assert control.take_debug_data(2, nsamp=4) == (2, {"nsamp": 4})

    def broken(_band: int) -> None:
        raise IndexError(7)

    with pytest.raises(IndexError):
        limited(broken, 600).run_serial_eta_scan(1)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) is before


def test_in_another_thread_a_scan_continues_without_a_limit() -> None:
    found: list[Any] = []
    control = limited(lambda band: band, 600)
    thread = threading.Thread(target=lambda: found.append(control.run_serial_eta_scan(4)))
    thread.start()
    thread.join()
    assert found == [4]
