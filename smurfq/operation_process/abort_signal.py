"""Sends an operation's frames, and raises the abort signal only between two frames."""

from __future__ import annotations

import _thread
import functools
import os
import signal
import socket
import sys
import threading
from typing import Any

from smurfq.errors import OperationAbortedError
from smurfq.operation_process import frames, wire
from smurfq.private_api.interpreter import forget_exit_functions

ABORT_SIGNAL = signal.SIGTERM
_SODETLIB_ABORT = "OCSAbortError"
_AGAIN_S = 0.01  # until the handling of a signal that arrived during a fork


class AbortSignal(BaseException):
    """Raised in an operation that did not end when asked; a BaseException, so that `except Exception` lets it pass."""


class FrameSender:
    """Sends whole frames of the process that made it, also when the abort signal arrives while it sends.

    A process that this one forks sends nothing, and handles the abort signal as a new interpreter does.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._owner = os.getpid()
        self._lock = threading.RLock()
        self._sending = False  # by the main thread, which is the one that a signal interrupts
        self._abort_pending = False
        self._warned = False
        self._forking = False
        self._held_back = False
        self._masks = threading.local()
        os.register_at_fork(before=self._before_fork, after_in_parent=self._after_fork, after_in_child=self._disown)
        # Runs first, and is no Python function: the signal is handled as soon as one is entered.
        os.register_at_fork(before=functools.partial(setattr, self, "_forking", True))

    def send(self, frame: dict[str, Any]) -> None:
        """Send a frame; raises ``AbortSignal`` after it if the signal came meanwhile.

        Raises
        ------
        MalformedFrameError
            The record has no place for a part of the frame; nothing was sent.
        """
        if os.getpid() != self._owner:
            self._warn()
            return
        frames.check(frame)
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
        if self._forking:  # an exception in a hook of ``os.fork`` is printed and lost
            self._held_back = True
            return
        # A second one would interrupt the cleaning up that this one begins.
        signal.signal(ABORT_SIGNAL, signal.SIG_IGN)
        if _is_ending():  # at a safe point: the cleaning up has the time until the kill
            return
        if self._sending:
            self._abort_pending = True
        else:
            raise AbortSignal("the operation was aborted")

    def _before_fork(self) -> None:
        """Hold the signal back, so that a child which gets it at once handles it as its own."""
        self._masks.before = signal.pthread_sigmask(signal.SIG_BLOCK, {ABORT_SIGNAL})

    def _after_fork(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._masks.before)
        if self._held_back:
            self._held_back = False
            again = threading.Timer(_AGAIN_S, _thread.interrupt_main, (ABORT_SIGNAL,))
            again.daemon = True
            again.start()
        self._forking = False

    def _disown(self) -> None:
        """In a child, drop the parts that only the operation itself may have.

        These are the session socket, the handler of the abort signal, and the ``atexit`` functions: they may close
        resources that the operation still uses.
        """
        self._sock.close()
        forget_exit_functions()
        if signal.getsignal(ABORT_SIGNAL) in (self.raise_abort, signal.SIG_IGN):
            signal.signal(ABORT_SIGNAL, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._masks.before)
        self._forking = self._held_back = False

    def _warn(self) -> None:
        """Print once that a child's changes of the session are not recorded."""
        if not self._warned:
            self._warned = True
            print(
                f"smurfq: process {os.getpid()} was forked by the operation; its messages and session data are not "
                "recorded. Let the operation's own process set them.",
                file=sys.stderr,
            )


def is_abort(error: BaseException) -> bool:
    """Return whether an error is one of those that end an aborted operation."""
    return isinstance(error, AbortSignal | OperationAbortedError) or type(error).__name__ == _SODETLIB_ABORT


def _is_ending() -> bool:
    """Return whether an abort is being handled: `finally` blocks run, or an error that they raised is on its way."""
    error = sys.exc_info()[1]
    while error is not None and not is_abort(error):
        error = error.__context__
    return error is not None
