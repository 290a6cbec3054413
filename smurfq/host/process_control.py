"""Asks the Linux kernel, by ``prctl``, to end this process with its parent, or to make it the parent of orphans."""

from __future__ import annotations

import ctypes
import os
import signal
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_prctl = ctypes.CDLL(None, use_errno=True).prctl  # loaded here, since a child may be between fork and exec


def end_with_parent(parent: int, signal_number: int = signal.SIGKILL) -> None:
    """Have the kernel send this process a signal when ``parent``, which forked it, ends."""
    _prctl(_PR_SET_PDEATHSIG, signal_number)
    if os.getppid() != parent:  # it ended before the kernel was asked
        os.kill(os.getpid(), signal_number)


def adopt_orphans() -> None:
    """Make this process the parent of its orphaned descendants, so that it finds all of them."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
