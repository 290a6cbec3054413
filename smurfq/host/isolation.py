"""Makes a forked process independent of the worker that it was forked from."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import random
import signal
import sys
from pathlib import Path

_FIRST_DESCRIPTOR = 3  # behind stdin, stdout and stderr


def drop_descriptors(kept: int) -> None:
    """Drop every inherited file descriptor but ``kept``, stdin, stdout and stderr.

    The worker's pipes, sockets and files are replaced by ``/dev/null``. They are not closed: their numbers would be
    used again, and objects of the worker that still hold such a number would close files of the operation.
    """
    nothing = os.open(os.devnull, os.O_RDWR)
    for link in list(Path("/proc/self/fd").iterdir()):
        if (number := int(link.name)) >= _FIRST_DESCRIPTOR and number not in (kept, nothing):
            with contextlib.suppress(OSError):  # that of the listing itself is closed by now
                os.fstat(number)
                os.dup2(nothing, number, inheritable=False)
    os.close(nothing)


def reset_signals() -> None:
    """Restore the signal handlers of a new interpreter."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def reset_logging() -> None:
    """Restore the logging of a new interpreter: the operation must not use the worker's handlers."""
    for logger in (logging.getLogger(), *map(logging.getLogger, list(logging.root.manager.loggerDict))):
        logger.handlers.clear()
    logging.getLogger().setLevel(logging.WARNING)


def take_stdio(output: int) -> None:
    """Read nothing from stdin, and write stdout and stderr to ``output``, unbuffered."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(nothing)
    os.close(output)
    sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False))
    sys.stdout, sys.stderr = _unbuffered(1), _unbuffered(2)
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr  # type: ignore[misc]


def _unbuffered(number: int) -> io.TextIOWrapper:
    raw = io.FileIO(number, "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding="utf-8", errors="backslashreplace", line_buffering=True, write_through=True
    )


def reseed() -> None:
    """Seed the random numbers anew: otherwise each fork would repeat those of the forks before it."""
    random.seed()
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed()
