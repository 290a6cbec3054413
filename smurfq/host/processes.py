"""Finds and kills the processes of an operation: its process group, and processes that left the group."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

from smurfq.core.process_id import ProcessId

_GONE_WITHIN_S = 5.0


def kill_groups(leaders: Iterable[ProcessId]) -> list[str]:
    """Kill processes and the groups that they lead, wait until they are gone, and return them as "name (pid)"."""
    alive = {who: _name(who.pid) for who in leaders if who.alive and who.pid != os.getpid()}
    for who in alive:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(who.pid, signal.SIGKILL)
        with contextlib.suppress(PermissionError):
            who.send(signal.SIGKILL)
    deadline = time.monotonic() + _GONE_WITHIN_S
    while any(who.alive for who in alive) and time.monotonic() < deadline:
        time.sleep(0.01)
    return [f"{name} ({who.pid})" for who, name in alive.items()]


def kill_group(leader: int) -> list[str]:
    """Kill a process group and all other children of this process; the names of those other than the leader.

    A process that has left the group becomes this process's child when its parent ends (``adopt_orphans``), so it is
    found too. Returns once they are gone, or after some seconds. The leader itself is not waited for.
    """
    killed: dict[int, str] = {}
    deadline = time.monotonic() + _GONE_WITHIN_S
    while time.monotonic() < deadline:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)
        orphans = [pid for pid in _children() if pid != leader]
        if not orphans and not _group_lives(leader):
            break
        for pid in orphans:
            _kill(pid, killed)
        time.sleep(0.005)
    return [f"{name} ({pid})" for pid, name in killed.items()]


def _children() -> list[int]:
    """Return the children of this process, with those that are dead and not yet waited for."""
    try:
        texts = [path.read_text() for path in Path("/proc/self/task").glob("*/children")]
    except OSError:
        texts = []
    if texts:
        return [int(pid) for text in texts for pid in text.split()]
    return [child.pid for child in psutil.Process().children()]


def _group_lives(leader: int) -> bool:
    """Return whether a group has members other than its dead leader."""
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    leader_is_dead = os.waitid(os.P_PID, leader, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    if not leader_is_dead:
        return True
    return any(_in_group(pid, leader) for pid in psutil.pids() if pid != leader)


def _in_group(pid: int, leader: int) -> bool:
    try:
        return os.getpgid(pid) == leader
    except OSError:
        return False


def _name(pid: int) -> str:
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).name()
    return "a process"


def _kill(pid: int, killed: dict[int, str]) -> None:
    with contextlib.suppress(ChildProcessError):
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return
    with contextlib.suppress(ProcessLookupError, PermissionError):  # one that sudo started is ended before the next run
        name = _name(pid)
        os.kill(pid, signal.SIGKILL)
        killed.setdefault(pid, name)


def out_of_memory_kills() -> int:
    """Return how many processes the kernel has killed for lack of memory, in this container and on this machine."""
    total = 0
    for path, key in (("/sys/fs/cgroup/memory.events", "oom_kill"), ("/proc/vmstat", "oom_kill")):
        with contextlib.suppress(OSError, ValueError):
            for line in Path(path).read_text().splitlines():
                name, _, value = line.partition(" ")
                if name == key:
                    total += int(value)
    return total


def exit_words(code: int, oom: bool) -> str:
    """Return in words how a process ended; ``code`` is negative for a signal, as in ``subprocess``."""
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        if code == -signal.SIGKILL and oom:
            return "was killed by the kernel for lack of memory (SIGKILL)"
        return f"was killed by {name}"
    return f"ended with exit code {code} before it gave its result"
