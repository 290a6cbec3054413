"""Signals an operation's process, ends what it has left behind, and reads how it ended; for its supervisor."""

from __future__ import annotations

import contextlib
import os
import signal

from smurfq.host import exec_flag, processes
from smurfq.operation_process.abort_signal import ABORT_SIGNAL
from smurfq.operation_process.process import Spare

_MAY_BE_GONE = (ProcessLookupError, PermissionError)


def send_abort_signal(process: Spare) -> None:
    """Have an exception raised in the operation, so that its ``finally`` blocks run."""
    with contextlib.suppress(*_MAY_BE_GONE):
        signal.pidfd_send_signal(process.pidfd, ABORT_SIGNAL)


def kill(process: Spare) -> None:
    """Kill the operation's own process."""
    with contextlib.suppress(*_MAY_BE_GONE):
        signal.pidfd_send_signal(process.pidfd, signal.SIGKILL)


def kill_group(process: Spare) -> None:
    """Kill the operation's own process and its group."""
    with contextlib.suppress(*_MAY_BE_GONE):
        os.killpg(process.pid, signal.SIGKILL)


def end_all(process: Spare) -> list[str]:
    """Kill the operation's own process, and each process that it has left; the names of the latter."""
    kill(process)
    return processes.kill_group(process.pid)


def has_execed(process: Spare) -> bool:
    """Return whether the process, which is dead and not yet waited for, had replaced its program by another."""
    return process.is_marked_fork and exec_flag.is_still_fork(process.pid) is False


def exit_code(process: Spare) -> int:
    """Wait for a dead process; its exit code, negative for a signal."""
    with contextlib.suppress(ChildProcessError):
        _, status = os.waitpid(process.pid, 0)
        return os.waitstatus_to_exitcode(status)
    return -signal.SIGKILL
