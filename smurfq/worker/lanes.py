"""Forks the lanes of one or more slots from this process, stops them, and restarts a lane that ended.

The parent has loaded pysmurf and sodetlib, and the lanes share its memory.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import time
from collections.abc import Callable, Sequence
from multiprocessing.util import get_temp_dir
from types import FrameType

from smurfq.core.slot import Lane
from smurfq.errors import SmurfqError
from smurfq.host.process_control import end_with_parent
from smurfq.worker.lease_step import LEASE_LOST_EXIT

logger = logging.getLogger("smurfq.worker")

Which = tuple[str, Lane]
Serve = Callable[[str, Lane, list[int]], int]
_RESTART_AFTER_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_STEADY_AFTER_S = 60.0
_LONGEST_WAIT_S = 60.0
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


class Lanes:
    """The lanes' processes, and what their parent does for them.

    ``serve`` is what each does: given its slot, its lane and a list that fills with the signals to stop which come
    before it has handlers of its own, it returns its exit code.
    """

    def __init__(self, lanes: Sequence[Which], serve: Serve) -> None:
        self._serve = serve
        self._due: dict[Which, float] = dict.fromkeys(lanes, 0.0)
        self._running: dict[int, tuple[Which, int]] = {}  # by process: which, and its pidfd
        self._started: dict[Which, float] = {}
        self._failures: dict[Which, int] = dict.fromkeys(lanes, 0)
        self._signalled = 0
        self._exit_code = 0

    def run(self) -> int:
        """The exit code of them all, once every lane has ended because it was told to."""
        get_temp_dir()  # this process removes it at its end; each lane would make one of its own and leave it behind
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        for number in _STOP_SIGNALS:
            signal.signal(number, self._pass_on)
        while self._running or (self._due and not self._signalled):
            self._start_due()
            watched = [wake_read, *(pidfd for _, pidfd in self._running.values())]
            ready, _, _ = select.select(watched, [], [], self._patience_s())
            if wake_read in ready:
                os.read(wake_read, 1024)
            self._collect()
        signal.set_wakeup_fd(-1)
        os.close(wake_read)
        os.close(wake_write)
        return self._exit_code

    def _patience_s(self) -> float:
        return max(0.0, min([time.monotonic() + _LONGEST_WAIT_S, *self._due.values()]) - time.monotonic())

    def _start_due(self) -> None:
        for which in [which for which, due in self._due.items() if due <= time.monotonic()]:
            # Blocked, so that each lane that is started is told of the signal.
            signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
            if not self._signalled:
                del self._due[which]
                self._start(which)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)

    def _start(self, which: Which) -> None:
        """Fork a lane, with the stop signals blocked until it has handlers of its own."""
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            self._become(which, parent)
        self._running[pid] = (which, os.pidfd_open(pid))
        self._started[which] = time.monotonic()

    def _become(self, which: Which, parent: int) -> None:
        """Be the lane, until it ends. Never returns."""
        slot, lane = which
        code = 1
        try:
            os.setpgid(0, 0)  # a terminal's Ctrl-C goes to the parent, which passes it on once
            told_to_stop = _note_signals()
            end_with_parent(parent)
            code = self._serve(slot, lane, told_to_stop)
        except SmurfqError as error:
            logger.critical("%s", error)
        except SystemExit as ending:
            code = ending.code if isinstance(ending.code, int) else 1
        except BaseException:
            logger.critical("the %s lane of %s died", lane, slot, exc_info=True)
        finally:
            logging.shutdown()
            os._exit(code)

    def _collect(self) -> None:
        for pid, (which, pidfd) in list(self._running.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended == pid:
                del self._running[pid]
                os.close(pidfd)
                self._ended(which, os.waitstatus_to_exitcode(status))

    def _ended(self, which: Which, code: int) -> None:
        if self._signalled:
            self._exit_code = max(self._exit_code, abs(code))
            return
        if time.monotonic() - self._started[which] > _STEADY_AFTER_S:
            self._failures[which] = 0
        wait_s = _RESTART_AFTER_S[min(self._failures[which], len(_RESTART_AFTER_S) - 1)]
        self._failures[which] += 1
        self._due[which] = time.monotonic() + wait_s
        level = logging.WARNING if code == LEASE_LOST_EXIT else logging.ERROR
        slot, lane = which
        logger.log(level, "the %s lane of %s ended with code %d; again in %g s", lane, slot, code, wait_s)

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        """First a warm stop, which lets what runs end; asked again, a cold one."""
        self._signalled += 1
        passed = signal.SIGTERM if self._signalled == 1 and number != signal.SIGQUIT else signal.SIGQUIT
        for pid in self._running:
            with contextlib.suppress(ProcessLookupError):  # it has ended, and is about to be removed from the table
                os.kill(pid, passed)


def _note_signals() -> list[int]:
    """A list to which each request to stop is added, until Celery handles them."""
    told_to_stop: list[int] = []
    for number in _STOP_SIGNALS:
        signal.signal(number, lambda received, _frame: told_to_stop.append(received))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)
    return told_to_stop
