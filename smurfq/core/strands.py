"""Follows the ``seq_no`` of publishers: the strands of numbers of one source, and what one more message says of them.

A Publisher numbers its messages from 0 and has a socket of its own, so (source address, host, script, id) tells most
Publishers apart. Not all: a forked process continues with the socket and the numbers of its parent, and a relay hides
the addresses. So one source may carry several *strands*, each a run of numbers; a message belongs to the strand that
it continues. The count of missing messages is exact for one strand a source, and interleaved strands never add to it.
"""

from __future__ import annotations

from array import array
from enum import Enum
from typing import NamedTuple, Self

REMEMBERED = 1024  # newest numbers of a strand of which a duplicate is recognised
MISSING_KEPT = 10_000  # missing numbers of a strand that may still arrive late
FARTHEST_JUMP = 10_000_000  # a step over more than this is another Publisher, not a loss
STRANDS_KEPT = 8
_UNSEEN = -1.0
_ALL_UNSEEN = array("d", [_UNSEEN]) * REMEMBERED


class Position(NamedTuple):
    """The position of a strand: the next expected number, and the time of the newest message."""

    next: int
    time: float


class Arrival(Enum):
    """The relation of a message to the messages before it."""

    NEW = "new"
    LATE = "late"  # fills a gap
    DUPLICATE = "duplicate"


class Step(NamedTuple):
    """The effect of one message. ``lost`` is added to the count of missing messages; negative if it filled a gap."""

    arrival: Arrival
    lost: int = 0
    first: bool = False  # no message of its source was known before


IN_ORDER = Step(Arrival.NEW)
DUPLICATE = Step(Arrival.DUPLICATE)
_FILLED = Step(Arrival.LATE, -1)


class Strand:
    """One run of numbers. A copy shares the missing numbers with its original until it changes them."""

    __slots__ = ("_shares_missing", "missing", "next", "seen", "time")

    def __init__(self, position: Position) -> None:
        self.next, self.time = position
        self.missing: set[int] = set()
        self.seen = _ALL_UNSEEN[:]  # times of the newest messages, by seq_no modulo
        self._shares_missing = False

    def copy(self) -> Self:
        """A strand that stands where this one stands."""
        other = object.__new__(type(self))
        other.next, other.time, other.missing, other.seen = self.next, self.time, self.missing, self.seen[:]
        other._shares_missing = True
        return other

    def go_on(self, seq_no: int, time: float) -> None:
        """Add the number that follows."""
        self.next = seq_no + 1
        self.time = max(self.time, time)
        self.seen[seq_no % REMEMBERED] = time

    def jump(self, seq_no: int, time: float) -> int:
        """The count of numbers passed over; these are missing now."""
        first, gap = self.next, seq_no - self.next
        for number in range(max(first, seq_no - REMEMBERED), seq_no):
            self.seen[number % REMEMBERED] = _UNSEEN
        room = MISSING_KEPT - len(self.missing)
        self._own_missing()
        self.missing.update(range(max(first, seq_no - room), seq_no))
        self.go_on(seq_no, time)
        return gap

    def fill(self, seq_no: int, time: float) -> bool:
        """Add a missing number; false if it is not missing here, or was sent later than what followed it."""
        if seq_no not in self.missing or time > self.time:
            return False
        self._own_missing()
        self.missing.remove(seq_no)
        if seq_no >= self.next - REMEMBERED:
            self.seen[seq_no % REMEMBERED] = time
        return True

    def forget_missing(self) -> None:
        """Expect no late arrivals any more."""
        self.missing, self._shares_missing = set(), False

    def has(self, seq_no: int, time: float) -> bool:
        """Return whether a message with this number and time is among the newest."""
        return self.next - REMEMBERED <= seq_no < self.next and self.seen[seq_no % REMEMBERED] == time

    def _own_missing(self) -> None:
        if self._shares_missing:
            self.missing, self._shares_missing = set(self.missing), False


def first_strand(seq_no: int, time: float) -> tuple[Strand, Step]:
    """The strand that begins with a source's first message, and what that message says.

    All that the source sent before was missed, unless no Publisher can have sent so many messages.
    """
    strand = Strand(Position(0 if seq_no <= FARTHEST_JUMP else seq_no, time))
    lost = strand.jump(seq_no, time)
    return strand, Step(Arrival.NEW, lost, first=True) if lost else IN_ORDER


def step_out_of_order(strands: list[Strand], seq_no: int, time: float, *, begins: bool) -> Step:
    """Add a number that does not follow the newest of a source's ``strands``, the most recently used one last."""
    if is_duplicate(strands, seq_no, time):
        return DUPLICATE
    if not begins:
        for strand in strands:
            if seq_no == strand.next:
                strand.go_on(seq_no, time)
                _use(strands, strand)
                return IN_ORDER
            if strand.fill(seq_no, time):
                return _FILLED
        behind = [strand for strand in strands if strand.next < seq_no <= strand.next + FARTHEST_JUMP]
        if behind:
            strand = max(behind, key=lambda strand: strand.next)
            _use(strands, strand)
            return Step(Arrival.NEW, strand.jump(seq_no, time))
    # A restart, or a fork that continues with numbers that its parent also uses: neither means a loss.
    fresh = Strand(Position(seq_no, time))
    fresh.go_on(seq_no, time)
    strands.append(fresh)
    del strands[:-STRANDS_KEPT]
    return IN_ORDER


def is_duplicate(strands: list[Strand], seq_no: int, time: float) -> bool:
    """Return whether one of a source's strands has a message with this number and time."""
    return any(strand.has(seq_no, time) for strand in strands)


def _use(strands: list[Strand], strand: Strand) -> None:
    """Put a strand last, where the next message is expected."""
    strands.remove(strand)
    strands.append(strand)
