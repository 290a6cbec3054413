"""Limits the duration of a scan or a capture of the smurf server, and names the one that did not end.

pysmurf waits up to six minutes for the end of a scan, and then raises an error that does not name it. It waits for the
end of a debug capture without a limit.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from smurfq.errors import OperationFailedError
from smurfq.smurf_control.session_protocol import SessionProtocol

_SCANS: Final = {
    "set_run_serial_find_freq": "frequency sweep",
    "run_serial_gradient_descent": "gradient descent",
    "run_serial_min_search": "search for minima",
    "run_serial_eta_scan": "eta scan",
    "run_parallel_eta_scan": "parallel eta scan",
    "take_debug_data": "debug capture",
    "read_stream_data_daq": "raw capture",  # for a bay, not a band
}
_PYSMURFS_OWN: Final = "Timeout waiting for PVs"


class _PastLimitError(Exception):
    """Raised by the timer in the main thread, wherever it is."""


def limit_scans(control: Any, session: SessionProtocol) -> None:
    """Make ``control`` raise ``OperationFailedError`` if a scan or a capture takes longer than limits.scan_s."""
    for method, words in _SCANS.items():
        setattr(control, method, partial(_limited, getattr(control, method), words, session))


def _limited(scan: Callable[..., Any], words: str, session: SessionProtocol, *args: Any, **kwargs: Any) -> Any:
    limit_s = session.settings.limits.scan_s
    try:
        with _timer(limit_s):
            return scan(*args, **kwargs)
    except OperationFailedError:
        raise
    except Exception as cause:
        if not isinstance(cause, _PastLimitError) and not str(cause).startswith(_PYSMURFS_OWN):
            raise
        waited = f"within {limit_s:g} s" if isinstance(cause, _PastLimitError) else "within pysmurf's own limit"
        where = f" of band {args[0]}" if args and words != _SCANS["read_stream_data_daq"] else ""
        raise OperationFailedError(
            f"the smurf server of {session.slot} did not end its {words}{where} {waited}: it has stalled. Check its "
            "log; when it works again, repeat the operation (limits.scan_s is the limit)",
            slot=session.slot,
            scan=words,
        ) from cause


@contextmanager
def _timer(limit_s: float) -> Iterator[None]:
    """Raise ``_PastLimitError`` if the block takes longer. A timer can interrupt only the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def past(_number: int, _frame: Any) -> None:
        raise _PastLimitError

    before = signal.signal(signal.SIGALRM, past)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
