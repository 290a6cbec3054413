"""Keeps one process forked in advance, so that the next operation starts at once."""

from __future__ import annotations

import socket
from collections.abc import Mapping

from smurfq.app import SmurfqApp
from smurfq.operation_process import process
from smurfq.operation_process.process import Body, Spare


class SpareProcess:
    """The pool child's spare process; ``bodies`` are the functions of the operations that it can run, by name."""

    def __init__(self, app: SmurfqApp, bodies: Mapping[str, Body]) -> None:
        self._app = app
        self._bodies = bodies
        self._spare: Spare | None = None

    def prepare(self) -> None:
        """Fork a process for the next operation, unless one waits or the settings want none."""
        if self._app.settings.worker.spare and (self._spare is None or not is_waiting(self._spare)):
            self._discard()
            self._spare = self.fork()

    def take(self) -> Spare:
        """Return the process that waits, or a new one if none does."""
        if self._spare is None or not is_waiting(self._spare):
            self._discard()
            return self.fork()
        spare, self._spare = self._spare, None
        return spare

    def fork(self) -> Spare:
        """Return a new process, beside the one that waits."""
        return process.fork(self._bodies, self._app.settings, self._app.reset_after_fork)

    def _discard(self) -> None:
        spare, self._spare = self._spare, None
        if spare is not None:
            spare.close()


def is_waiting(spare: Spare) -> bool:
    """Return whether a spare process still waits for its job."""
    try:
        return spare.sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
