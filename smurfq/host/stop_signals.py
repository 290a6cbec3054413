"""Sets an event when this process is told to stop."""

from __future__ import annotations

import os
import signal
import threading

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def event_of_stop_signals() -> threading.Event:
    """Return an event that SIGTERM or SIGINT sets.

    A signal handler must not set it: the handler runs in the main thread, which may hold the event's own lock then, and
    would wait for itself for ever. So a thread reads the signals from a pipe.
    """
    stop = threading.Event()
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    for number in _STOP_SIGNALS:
        signal.signal(number, lambda *_: None)
    threading.Thread(target=_set_when_told, args=(stop, read), name="stop signals", daemon=True).start()
    return stop


def _set_when_told(stop: threading.Event, told: int) -> None:
    while os.read(told, 1)[0] not in _STOP_SIGNALS:
        pass
    stop.set()
