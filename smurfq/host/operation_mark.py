"""Marks an operation's processes by a resource limit, which every process that they start inherits.

The limit is the CPU time that a real-time process may use without a pause. The mark is so many microseconds that they
are centuries, so it limits nothing. A new environment, closed files, a new session or a double fork do not remove it.
See docs/decisions/0024-orphans.md.
"""

from __future__ import annotations

import hashlib
import resource
from pathlib import Path

_LIMIT = resource.RLIMIT_RTTIME
_LIMIT_NAME = b"Max realtime timeout"  # in /proc/<pid>/limits
CANNOT_MARK = (
    "the limit RLIMIT_RTTIME is lowered here: an orphan that cleared its environment and closed its files is not found"
)
_CARD_BITS = 31
_SESSION_BITS = 30
_TOP_BIT = 1 << (_CARD_BITS + _SESSION_BITS)


def mark_of(lock: Path, session_id: str) -> int:
    """Return the mark of an operation of the card that has this lock."""
    card, session = _digest(str(lock.resolve()), _CARD_BITS), _digest(session_id, _SESSION_BITS)
    return _TOP_BIT | card << _SESSION_BITS | session


def same_card(mark: int, other: int) -> bool:
    """Return whether two marks are of operations of one card."""
    return mark >> _SESSION_BITS == other >> _SESSION_BITS


def can_mark() -> bool:
    """Return whether this process can mark itself; it cannot if its hard limit was lowered."""
    hard = resource.getrlimit(_LIMIT)[1]
    return hard == resource.RLIM_INFINITY or hard >= 2 * _TOP_BIT


def mark_this_process(mark: int) -> None:
    """Mark this process and all that it starts from now on; does nothing if this process cannot mark itself.

    The hard limit is set too: a program that raises all soft limits to their hard limits keeps the mark.
    """
    if can_mark():
        resource.setrlimit(_LIMIT, (mark, mark))


def mark_on(pid: int) -> int | None:
    """Return the limit of a process, which is its mark if it has one; None if the process is gone or hidden."""
    try:
        return resource.prlimit(pid, _LIMIT)[1]
    except PermissionError:  # another user's, as that of a helper started by sudo
        return _read_limit(pid)
    except OSError:
        return None


def _read_limit(pid: int) -> int | None:
    try:
        lines = Path(f"/proc/{pid}/limits").read_bytes().splitlines()
    except OSError:
        return None
    hard = next((line.removeprefix(_LIMIT_NAME).split()[1] for line in lines if line.startswith(_LIMIT_NAME)), b"")
    return int(hard) if hard.isdigit() else None


def _digest(text: str, bits: int) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> (64 - bits)
