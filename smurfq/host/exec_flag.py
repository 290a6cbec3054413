"""Tells whether a process still runs the program that it was forked with, or has replaced it by ``exec``.

The kernel keeps a flag for each process from its fork until it calls ``exec``. A process cannot set the flag, and can
clear it in no other way.
"""

from __future__ import annotations

from smurfq.core.process_id import stat_fields

_PF_FORKNOEXEC = 0x40  # of include/linux/sched.h
_FLAGS = 6  # the place of the flags in /proc/PID/stat, behind the name


def is_still_fork(pid: int) -> bool | None:
    """Return whether a process has never called ``exec``; None if it is gone. It may be dead and not yet waited for."""
    fields = stat_fields(pid)
    return None if fields is None else bool(int(fields[_FLAGS]) & _PF_FORKNOEXEC)
