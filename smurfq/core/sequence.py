"""Counts the missing messages of publishers by their ``seq_no``.

A Publisher numbers its messages from 0 and has its own socket, so (source address, host, script, id) identifies most
Publishers. There are exceptions: a forked process continues with its parent's socket and numbers, and a relay hides
the addresses. One source may therefore carry several *strands*, each a sequence of numbers. A message belongs to the
strand that it continues. The count is exact for a source with one strand. Interleaved strands never count as missing.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Hashable
from enum import Enum
from typing import NamedTuple

REMEMBERED = 1024  # newest numbers of a strand for which a duplicate message is recognized
MISSING_KEPT = 10_000  # missing numbers of a strand that may still arrive late
MISSING_KEPT_IN_ALL = 200_000
FARTHEST_JUMP = 10_000_000  # a larger jump means another Publisher, not a loss
STRANDS_KEPT = 8
SOURCES_KEPT = 4096
STRANDS_KEPT_IN_ALL = 8192
_UNSEEN = -1.0
_ALL_UNSEEN = array("d", [_UNSEEN]) * REMEMBERED


class Position(NamedTuple):
    """The position of a strand: its next number, and the time of its newest message."""

    next: int
    time: float


class Arrival(Enum):
    """The relation of a message to the messages before it."""

    NEW = "new"
    LATE = "late"  # fills a gap
    DUPLICATE = "duplicate"


class Step(NamedTuple):
    """The effect of one message: the change of the number of missing messages, negative if the message filled a gap."""

    arrival: Arrival
    lost: int = 0


_IN_ORDER = Step(Arrival.NEW)
_FILLED = Step(Arrival.LATE, -1)
_AGAIN = Step(Arrival.DUPLICATE)


class _Strand:
    """One sequence of numbers."""

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
        """Skip to a number, and return how many numbers are now missing."""
        first, gap = self.next, seq_no - self.next
        for number in range(max(first, seq_no - REMEMBERED), seq_no):
            self.seen[number % REMEMBERED] = _UNSEEN
        room = MISSING_KEPT - len(self.missing)
        self.missing.update(range(max(first, seq_no - room), seq_no))
        self.go_on(seq_no, time)
        return gap

    def fill(self, seq_no: int, time: float) -> bool:
        """Fill a gap. Return false if the number is not missing, or was sent later than its successor."""
        if seq_no not in self.missing or time > self.time:
            return False
        self.missing.remove(seq_no)
        if seq_no >= self.next - REMEMBERED:
            self.seen[seq_no % REMEMBERED] = time
        return True

    def has(self, seq_no: int, time: float) -> bool:
        return self.next - REMEMBERED <= seq_no < self.next and self.seen[seq_no % REMEMBERED] == time


class Sequences:
    """The strands of all sources. Memory is bounded: the sources that have been silent longest are forgotten."""

    def __init__(self) -> None:
        self._sources: OrderedDict[Hashable, list[_Strand]] = OrderedDict()
        self._strands = self._missing = 0  # totals of all sources

    def step(self, source: Hashable, seq_no: int, time: float, *, start: bool = False) -> Step:
        """Count a message's number. ``start`` is true for the first message of a Publisher."""
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
        """Return whether a message of the source has been counted, or its position restored."""
        return source in self._sources

    def position(self, source: Hashable) -> Position | None:
        """Return the position of the newest strand of a source."""
        strands = self._sources.get(source)
        return Position(strands[-1].next, strands[-1].time) if strands else None

    def restore(self, source: Hashable, position: Position) -> None:
        """Continue from the position of an earlier process."""
        self._forget(self._sources.pop(source, []))
        self._sources[source] = [_Strand(position)]
        self._add(1, 0)

    def _first(self, source: Hashable, seq_no: int, time: float) -> Step:
        """Count all earlier numbers of a new source as missing, unless they are too many to be plausible."""
        strand = _Strand(Position(0 if seq_no <= FARTHEST_JUMP else seq_no, time))
        lost = strand.jump(seq_no, time)
        self._sources[source] = [strand]
        self._add(1, len(strand.missing))
        return Step(Arrival.NEW, lost) if lost else _IN_ORDER

    def _add(self, strands: int, missing: int) -> None:
        """Update the totals, and forget the sources that have been silent longest if the limits are exceeded."""
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
    # A restart, or a fork that continues with its parent's numbers: in both cases no message is missing.
    fresh = _Strand(Position(seq_no, time))
    fresh.go_on(seq_no, time)
    strands.append(fresh)
    del strands[:-STRANDS_KEPT]
    return _IN_ORDER


def _use(strands: list[_Strand], strand: _Strand) -> None:
    """Move a strand to the end, where the next message is looked up first."""
    strands.remove(strand)
    strands.append(strand)
