"""Counts the missing messages of all publishers by their ``seq_no``, a batch at a time.

``SequenceChanges`` steps through a batch and leaves ``Sequences`` as they are until the changes are committed. So a
batch that could not be written can be stepped through again. What the numbers mean is in ``strands``.
"""

from __future__ import annotations

from collections import OrderedDict

from smurfq.core.strands import (
    DUPLICATE,
    IN_ORDER,
    Position,
    Step,
    Strand,
    first_strand,
    is_duplicate,
    step_out_of_order,
)

MISSING_KEPT_IN_ALL = 200_000
SOURCES_KEPT = 4096
STRANDS_KEPT_IN_ALL = 8192

Source = tuple[bytes, str, str, str]  # address as the kernel packs it, host, script, publisher id


class Sequences:
    """The strands of all sources. Memory is bounded: the sources that have been silent longest are forgotten."""

    def __init__(self) -> None:
        self._sources: OrderedDict[Source, list[Strand]] = OrderedDict()
        self._strands = self._missing = 0  # of all sources

    def strands(self, source: Source) -> list[Strand] | None:
        """The strands of a source, for reading; None if no message of it is known."""
        return self._sources.get(source)

    def restore(self, source: Source, position: Position) -> None:
        """Continue from where an earlier process stood."""
        self._forget(self._sources.pop(source, []))
        self._sources[source] = [Strand(position)]
        self._strands += 1
        self._limit()

    def commit(self, changes: SequenceChanges) -> None:
        """Take over ``changes``, which were made to these sequences as they stand."""
        for source, strands in changes.touched.items():
            self._sources[source] = strands
            self._sources.move_to_end(source)
        self._strands += changes.strands_added
        self._missing += changes.missing_added
        self._limit()

    def _limit(self) -> None:
        """Forget what there is no room for, of the sources longest silent first."""
        while len(self._sources) > SOURCES_KEPT or self._strands > STRANDS_KEPT_IN_ALL:
            self._forget(self._sources.popitem(last=False)[1])
        if self._missing > MISSING_KEPT_IN_ALL:
            for strands in self._sources.values():
                self._missing -= forget_missing(strands)
                if self._missing <= MISSING_KEPT_IN_ALL // 2:
                    break

    def _forget(self, strands: list[Strand]) -> None:
        self._strands -= len(strands)
        self._missing -= missing_count(strands)


class SequenceChanges:
    """The changes of ``before`` by a batch of messages. ``before`` itself is not modified."""

    def __init__(self, before: Sequences) -> None:
        self._before = before
        self.touched: dict[Source, list[Strand]] = {}  # the strands of the batch's sources, after the batch
        self.strands_added = self.missing_added = 0  # negative if more are gone than were added

    def step(self, source: Source, seq_no: int, time: float, *, start: bool = False) -> Step:
        """Return the effect of a message's number. ``start`` is true for the first message of a Publisher."""
        strands = self.touched.get(source)
        if strands is None:
            known = self._before.strands(source)
            if known is None:
                strand, step = first_strand(seq_no, time)
                self.touched[source] = [strand]
                self._add(1, len(strand.missing))
                return step
            if seq_no != known[-1].next and is_duplicate(known, seq_no, time):
                return DUPLICATE
            strands = self.touched[source] = [strand.copy() for strand in known]
        newest = strands[-1]
        if seq_no == newest.next:
            newest.go_on(seq_no, time)
            return IN_ORDER
        count, missing = len(strands), missing_count(strands)
        step = step_out_of_order(strands, seq_no, time, begins=start and seq_no == 0)
        self._add(len(strands) - count, missing_count(strands) - missing)
        return step

    def positions(self) -> dict[Source, Position]:
        """Return the position of the newest strand of each source of the batch."""
        return {source: Position(strands[-1].next, strands[-1].time) for source, strands in self.touched.items()}

    def _add(self, strands: int, missing: int) -> None:
        self.strands_added += strands
        self.missing_added += missing
        if self.missing_added > MISSING_KEPT_IN_ALL:
            for touched in self.touched.values():
                self.missing_added -= forget_missing(touched)
                if self.missing_added <= MISSING_KEPT_IN_ALL // 2:
                    break


def missing_count(strands: list[Strand]) -> int:
    """Return the count of numbers that are missing in the strands and may still arrive."""
    return sum(len(strand.missing) for strand in strands)


def forget_missing(strands: list[Strand]) -> int:
    """Forget all missing numbers, and return their count."""
    count = missing_count(strands)
    for strand in strands:
        strand.forget_missing()
    return count
