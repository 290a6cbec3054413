"""The operation's side: a process forked ahead, which waits for its job, runs it and ends.

It is a fork of the preloaded pool child, so it starts with pysmurf and sodetlib imported and with nothing that an
operation before it has left. It leads a session and process group of its own, so that it can be killed whole, and it
dies with the pool child.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import io
import logging
import mmap
import multiprocessing
import os
import random
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from smurfq.config import Settings
from smurfq.core.jsonsafe import plain
from smurfq.errors import OperationAbortedError
from smurfq.runner import wire
from smurfq.runner.leftovers import SESSION_VARIABLE
from smurfq.runner.room import room_for
from smurfq.runner.session import Session

Body = Callable[..., Any]
ABORT_SIGNAL = signal.SIGTERM
_PR_SET_PDEATHSIG = 1
_SODETLIB_ABORT = "OCSAbortError"


class AbortSignal(BaseException):
    """Raised in the operation when its abort was not heeded in time; not an Exception, so that nothing swallows it."""


@dataclass(frozen=True)
class Spare:
    """A process that waits for its job: the supervisor's end of it."""

    pid: int
    pidfd: int
    sock: socket.socket
    flag: mmap.mmap

    def close(self) -> None:
        """Close the supervisor's ends; a process that still waits then ends by itself."""
        self.sock.close()
        self.flag.close()
        os.close(self.pidfd)


def fork(resolve: Callable[[str], Body], settings: Settings, after_fork: Callable[[], None]) -> Spare:
    """A new process that waits for a job; ``resolve`` names the bodies, ``after_fork`` drops what it must not share."""
    here, there = socket.socketpair()
    flag = mmap.mmap(-1, 1)
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        here.close()
        _child(there, flag, parent, resolve, settings, after_fork)
    there.close()
    return Spare(pid, os.pidfd_open(pid), here, flag)


def _child(
    sock: socket.socket,
    flag: mmap.mmap,
    parent: int,
    resolve: Callable[[str], Body],
    settings: Settings,
    after_fork: Callable[[], None],
) -> NoReturn:
    code = 70
    try:
        os.setsid()
        die_with_parent(parent)
        atexit._clear()
        _reset_signals()
        _reset_logging()
        _reset_multiprocessing()
        job_and_files = wire.receive_with_files(sock)
        if job_and_files is None:
            os._exit(0)
        job, files = job_and_files
        after_fork()
        _take_stdio(files[0])
        for lock in files[1:]:
            os.set_inheritable(lock, True)  # what the operation starts holds the card's lock too
        _reseed()
        code = _run(job, sock, flag, resolve, settings)
    except BaseException:  # noqa: BLE001 - a process's rim
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _run(
    job: Mapping[str, Any], sock: socket.socket, flag: mmap.mmap, resolve: Callable[[str], Body], settings: Settings
) -> int:
    os.environ.update(job["environment"])
    os.environ[SESSION_VARIABLE] = job["session_id"]
    outbox = _Outbox(sock)
    session = Session(
        emit=outbox.send,
        flag=flag,
        settings=settings,
        slot=job["slot"],
        session_id=job["session_id"],
        op_name=job["op_name"],
        params=job["params"],
    )
    signal.signal(ABORT_SIGNAL, outbox.raise_abort)
    result: dict[str, Any] = {"k": "result", "ok": True}
    try:
        try:
            resolve(job["op_name"])(session, **job["params"])
        finally:
            threading._shutdown()  # type: ignore[attr-defined]
            atexit._run_exitfuncs()
    except BaseException as error:  # noqa: BLE001 - a process's rim: whatever it was goes into the record
        result = {"k": "result", "ok": False, **_describe(error, settings)}
        traceback.print_exc()
    signal.signal(ABORT_SIGNAL, signal.SIG_IGN)
    session.data.send_changes()
    _flush()
    outbox.send(result)
    return 0 if result["ok"] else 1


class _Outbox:
    """Sends frames whole, also when the abort signal comes in the middle of one."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._lock = threading.RLock()
        self._sending = False  # by the main thread, which is the one that a signal interrupts
        self._abort_pending = False

    def send(self, frame: dict[str, Any]) -> None:
        """Send a frame; raises ``AbortSignal`` after it if the signal came meanwhile."""
        in_main = threading.current_thread() is threading.main_thread()
        self._sending = self._sending or in_main
        try:
            with self._lock:
                wire.send(self._sock, frame)
        finally:
            if in_main:
                self._sending = False
        if in_main and self._abort_pending:
            self._abort_pending = False
            raise AbortSignal("the operation was aborted")

    def raise_abort(self, _signum: int, _frame: Any) -> None:
        """Handle the abort signal."""
        # A second one would interrupt the cleaning up that this one begins.
        signal.signal(ABORT_SIGNAL, signal.SIG_IGN)
        if _is_ending():  # at a safe point: what cleans up now has until the kill
            return
        if self._sending:
            self._abort_pending = True
        else:
            raise AbortSignal("the operation was aborted")


def _is_ending() -> bool:
    """Whether an abort is being handled here: `finally` blocks run, or what came of them is on its way."""
    error = sys.exc_info()[1]
    while error is not None and not _is_abort(error):
        error = error.__context__
    return error is not None


def _is_abort(error: BaseException) -> bool:
    return isinstance(error, AbortSignal | OperationAbortedError) or type(error).__name__ == _SODETLIB_ABORT


def _describe(error: BaseException, settings: Settings) -> dict[str, Any]:
    folders = (settings.state_dir, settings.smurf.timestreams_dir, settings.smurf.smurf_data_dir, Path())
    full = room_for(error, folders)
    return {
        "aborted": _is_abort(error),
        "type": type(error).__name__,
        "message": (str(error) or type(error).__name__) + (f"; {full}: make room" if full else ""),
        "fields": plain(getattr(error, "fields", {})),
        "traceback": "".join(traceback.format_exception(error))[-16_384:],
    }


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when the one that forked it ends."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the kernel was asked
        os._exit(0)


def _reset_signals() -> None:
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _reset_multiprocessing() -> None:
    """Let the operation have children: Celery's pool marks its own as daemons, also in the standard library.

    The pool's key is one of billiard, which cannot be given to a child that is spawned.
    """
    config = multiprocessing.current_process()._config  # type: ignore[attr-defined]
    config["daemon"] = False
    config["authkey"] = multiprocessing.process.AuthenticationString(config["authkey"])  # type: ignore[attr-defined]


def _reset_logging() -> None:
    """Logging as a new interpreter has it: the worker's handlers are not the operation's."""
    for logger in (logging.getLogger(), *map(logging.getLogger, list(logging.root.manager.loggerDict))):
        logger.handlers.clear()
    logging.getLogger().setLevel(logging.WARNING)


def _take_stdio(output: int) -> None:
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


def _flush() -> None:
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()


def _reseed() -> None:
    """Random numbers of its own: a fork would otherwise repeat those of every fork before it."""
    random.seed()
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed()
