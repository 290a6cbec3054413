"""Counts the missing messages of publishers by their ``seq_no``.

A Publisher numbers its messages from 0 and has a socket of its own, so (source address, host, script, id) tells most
Publishers apart. Not all: a forked process goes on with the socket and the numbers of its parent, and a relay hides
the addresses. So one source may carry several *strands*, each a run of numbers; a message belongs to the strand it
continues. Counting is exact for one strand a source, and never counts a number missing because strands interleave.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Hashable
from enum import Enum
from typing import NamedTuple

REMEMBERED = 1024  # newest numbers of a strand of which a second copy is recognised
MISSING_KEPT = 10_000  # missing numbers of a strand that may still arrive late
MISSING_KEPT_IN_ALL = 200_000
FARTHEST_JUMP = 10_000_000  # a step over more than this is another Publisher, not a loss
STRANDS_KEPT = 8
SOURCES_KEPT = 4096
STRANDS_KEPT_IN_ALL = 8192
_UNSEEN = -1.0
_ALL_UNSEEN = array("d", [_UNSEEN]) * REMEMBERED


class Position(NamedTuple):
    """Where a strand stands: the number that comes next, and the time of the newest message."""

    next: int
    time: float


class Arrival(Enum):
    """What a message is to the ones before it."""

    NEW = "new"
    LATE = "late"  # fills a gap
    DUPLICATE = "duplicate"


class Step(NamedTuple):
    """What one message changes: ``lost`` is added to what is known to be missing, negative where a gap was filled."""

    arrival: Arrival
    lost: int = 0


_IN_ORDER = Step(Arrival.NEW)
_FILLED = Step(Arrival.LATE, -1)
_AGAIN = Step(Arrival.DUPLICATE)


class _Strand:
    """One run of numbers."""

    __slots__ = ("missing", "next", "seen", "time")

    def __init__(self, position: Position) -> None:
        self.next, self.time = position
        self.missing: set[int] = set()
        self.seen = _ALL_UNSEEN[:]  # times of the newest messages, by seq_no modulo

    def go_on(self, seq_no: int, time: float) -> None:
        self.next = seq_no + 1
        self.time = max(self.time, time)
        self.seen[seq_no % REMEMBERED] = time

    def jump(self, seq_no: int, time: float) -> int:
        """The count of numbers passed over; these are missing now."""
        first, gap = self.next, seq_no - self.next
        for number in range(max(first, seq_no - REMEMBERED), seq_no):
            self.seen[number % REMEMBERED] = _UNSEEN
        room = MISSING_KEPT - len(self.missing)
        self.missing.update(range(max(first, seq_no - room), seq_no))
        self.go_on(seq_no, time)
        return gap

    def fill(self, seq_no: int, time: float) -> bool:
        """Take in a missing number; false if it is not missing here, or was sent later than what followed it."""
        if seq_no not in self.missing or time > self.time:
            return False
        self.missing.remove(seq_no)
        if seq_no >= self.next - REMEMBERED:
            self.seen[seq_no % REMEMBERED] = time
        return True

    def has(self, seq_no: int, time: float) -> bool:
        return self.next - REMEMBERED <= seq_no < self.next and self.seen[seq_no % REMEMBERED] == time


class Sequences:
    """The strands of all sources; the sources longest silent are forgotten. However they come, memory is bounded."""

    def __init__(self) -> None:
        self._sources: OrderedDict[Hashable, list[_Strand]] = OrderedDict()
        self._strands = self._missing = 0  # of all sources

    def step(self, source: Hashable, seq_no: int, time: float, *, start: bool = False) -> Step:
        """Take in a message's number. ``start``: it is the message that a Publisher begins with."""
        strands = self._sources.get(source)
        if strands is None:
            return self._first(source, seq_no, time)
        self._sources.move_to_end(source)
        newest = strands[-1]
        if seq_no == newest.next:
            newest.go_on(seq_no, time)
            return _IN_ORDER
        count, missing = len(strands), _missing(strands)
        step = _out_of_order(strands, seq_no, time, begins=start and seq_no == 0)
        self._add(len(strands) - count, _missing(strands) - missing)
        return step

    def knows(self, source: Hashable) -> bool:
        """Whether a message of the source has been taken in, or its position restored."""
        return source in self._sources

    def position(self, source: Hashable) -> Position | None:
        """Where the newest strand of a source stands."""
        strands = self._sources.get(source)
        return Position(strands[-1].next, strands[-1].time) if strands else None

    def restore(self, source: Hashable, position: Position) -> None:
        """Go on from where an earlier process stood."""
        self._forget(self._sources.pop(source, []))
        self._sources[source] = [_Strand(position)]
        self._add(1, 0)

    def _first(self, source: Hashable, seq_no: int, time: float) -> Step:
        """Whatever the source sent before its first message here was missed, unless it cannot have sent so many."""
        strand = _Strand(Position(0 if seq_no <= FARTHEST_JUMP else seq_no, time))
        lost = strand.jump(seq_no, time)
        self._sources[source] = [strand]
        self._add(1, len(strand.missing))
        return Step(Arrival.NEW, lost) if lost else _IN_ORDER

    def _add(self, strands: int, missing: int) -> None:
        """Count what has come, and forget what there is no room for: first of all the longest silent."""
        self._strands += strands
        self._missing += missing
        while len(self._sources) > SOURCES_KEPT or self._strands > STRANDS_KEPT_IN_ALL:
            self._forget(self._sources.popitem(last=False)[1])
        if self._missing > MISSING_KEPT_IN_ALL:
            for silent in self._sources.values():
                for strand in silent:
                    self._missing -= len(strand.missing)
                    strand.missing.clear()
                if self._missing <= MISSING_KEPT_IN_ALL // 2:
                    break

    def _forget(self, strands: list[_Strand]) -> None:
        self._strands -= len(strands)
        self._missing -= _missing(strands)


def _missing(strands: list[_Strand]) -> int:
    return sum(len(strand.missing) for strand in strands)


def _out_of_order(strands: list[_Strand], seq_no: int, time: float, *, begins: bool) -> Step:
    if any(strand.has(seq_no, time) for strand in strands):
        return _AGAIN
    if not begins:
        for strand in strands:
            if seq_no == strand.next:
                strand.go_on(seq_no, time)
                _use(strands, strand)
                return _IN_ORDER
            if strand.fill(seq_no, time):
                return _FILLED
        behind = [strand for strand in strands if strand.next < seq_no <= strand.next + FARTHEST_JUMP]
        if behind:
            strand = max(behind, key=lambda strand: strand.next)
            _use(strands, strand)
            return Step(Arrival.NEW, strand.jump(seq_no, time))
    # A restart, or a fork that goes on with numbers its parent also uses: either way nothing is missing by it.
    fresh = _Strand(Position(seq_no, time))
    fresh.go_on(seq_no, time)
    strands.append(fresh)
    del strands[:-STRANDS_KEPT]
    return _IN_ORDER


def _use(strands: list[_Strand], strand: _Strand) -> None:
    """Put a strand last, where the next message is expected."""
    strands.remove(strand)
    strands.append(strand)
