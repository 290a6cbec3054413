from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from smurfq.core.sequence import (
    MISSING_KEPT_IN_ALL,
    SOURCES_KEPT,
    STRANDS_KEPT_IN_ALL,
    SequenceChanges,
    Sequences,
    Source,
)
from smurfq.core.strands import FARTHEST_JUMP, MISSING_KEPT, Arrival, Position, Step

SOURCE = (b"40000", "host", "script", "crate1slot2")
BATCHES = st.integers(1, 10)


def source_of(number: int) -> Source:
    return (number.to_bytes(4, "big"), *SOURCE[1:])


def step(sequences: Sequences, source: Source, seq_no: int, time: float, *, start: bool = False) -> Step:
    """Step through a batch of one message, and commit it."""
    changes = SequenceChanges(sequences)
    taken = changes.step(source, seq_no, time, start=start)
    sequences.commit(changes)
    return taken


class Counted:
    """The steps of one source's messages, added up; they are committed in batches of ``batch``."""

    def __init__(self, sequences: Sequences | None = None, batch: int = 1) -> None:
        self.sequences = sequences or Sequences()
        self.changes = SequenceChanges(self.sequences)
        self.batch, self.steps = batch, 0
        self.lost = self.duplicates = self.late = 0

    def take(self, seq_no: int, time: float | None = None, *, start: bool = False) -> Step:
        step = self.changes.step(SOURCE, seq_no, float(seq_no if time is None else time), start=start)
        self.steps += 1
        if self.steps % self.batch == 0:
            self.sequences.commit(self.changes)
            self.changes = SequenceChanges(self.sequences)
        self.lost += step.lost
        self.duplicates += step.arrival is Arrival.DUPLICATE
        self.late += step.arrival is Arrival.LATE
        return step


def test_nothing_is_lost_in_order() -> None:
    seen = Counted()
    for number in range(5000):
        seen.take(number, start=number == 0)
    assert (seen.lost, seen.duplicates, seen.late) == (0, 0, 0)


def test_a_gap_is_counted_and_a_late_arrival_takes_one_off() -> None:
    seen = Counted()
    for number in (0, 1, 5):
        seen.take(number)
    assert seen.lost == 3
    assert seen.take(3) == Step(Arrival.LATE, -1)
    assert seen.lost == 2
    assert seen.take(3).arrival is Arrival.DUPLICATE
    assert seen.lost == 2


def test_a_second_copy_is_known_by_number_and_time() -> None:
    seen = Counted()
    for number in (0, 1, 1, 0, 2):
        seen.take(number)
    assert (seen.lost, seen.duplicates) == (0, 2)


def test_messages_before_the_first_one_heard_are_missing() -> None:
    seen = Counted()
    seen.take(12)
    assert seen.lost == 12
    seen.take(4)
    assert seen.lost == 11


def test_a_restart_is_a_new_sequence() -> None:
    seen = Counted()
    for number in range(10):
        seen.take(number)
    for number in range(6):
        seen.take(number, 100 + number, start=number == 0)
    seen.take(7, 107)
    assert (seen.lost, seen.duplicates) == (1, 0)


def test_a_restart_where_the_next_number_happens_to_be_zero_loses_nothing() -> None:
    seen = Counted()
    seen.take(0, 1.0, start=True)
    seen.take(0, 2.0, start=True)
    seen.take(1, 3.0)
    assert (seen.lost, seen.duplicates) == (0, 0)


def test_a_fork_that_continues_with_its_parents_numbers_loses_nothing() -> None:
    seen = Counted()
    for number in range(100):
        seen.take(number)
    for number in range(100, 150):
        seen.take(number, number + 0.1)
        seen.take(number, number + 0.2)
    assert (seen.lost, seen.duplicates) == (0, 0)


def test_a_fork_of_which_one_runs_ahead_loses_nothing() -> None:
    seen = Counted()
    for number in [*range(10), *range(10, 60)]:
        seen.take(number)
    for number in range(10, 40):
        seen.take(number, 100 + number)
    for number in range(60, 80):
        seen.take(number)
    for number in range(40, 50):
        seen.take(number, 200 + number)
    assert (seen.lost, seen.duplicates) == (0, 0)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=200), BATCHES)
def test_publishers_interleaved_behind_one_address_lose_nothing(turns: list[int], batch: int) -> None:
    seen = Counted(batch=batch)
    numbers = [0, 0, 0, 0]
    for time, who in enumerate(turns):
        seen.take(numbers[who], time, start=numbers[who] == 0)
        numbers[who] += 1
    assert (seen.lost, seen.duplicates) == (0, 0)


@given(st.sets(st.integers(0, 300)), BATCHES, st.data())
def test_any_order_and_any_copies_count_what_never_came(dropped: set[int], batch: int, data: st.DataObject) -> None:
    came = [number for number in range(301) if number not in dropped or number == 300]
    copies = data.draw(st.lists(st.sampled_from(came), max_size=30))
    order = data.draw(st.permutations([*came, *copies]))
    seen = Counted(batch=batch)
    for number in order:
        seen.take(number)
    assert seen.lost == len([number for number in dropped if number != 300])
    assert seen.duplicates == len(copies)


@given(st.lists(st.tuples(st.integers(0, 2**53 - 1), st.floats(0, 1e10), st.booleans())))
def test_no_numbers_at_all_upset_it(steps: list[tuple[int, float, bool]]) -> None:
    seen = Counted()
    for seq_no, time, start in steps:
        seen.take(seq_no, time, start=start)


def test_a_step_too_far_is_another_publisher_and_no_loss() -> None:
    seen = Counted()
    seen.take(0)
    seen.take(2**52)
    assert seen.lost == 0
    seen.take(2**52 + 2)
    assert seen.lost == 1


def test_a_long_gap_is_counted_whole_though_not_all_of_it_is_remembered() -> None:
    seen = Counted()
    seen.take(0)
    seen.take(10 * MISSING_KEPT)
    assert seen.lost == 10 * MISSING_KEPT - 1
    assert seen.take(10 * MISSING_KEPT - 5).arrival is Arrival.LATE


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9)), min_size=1, max_size=60), st.integers(0, 59))
def test_steps_that_are_not_committed_change_nothing(numbers: list[tuple[int, int]], committed: int) -> None:
    sequences = Sequences()
    for seq_no, time in numbers[:committed]:
        step(sequences, SOURCE, seq_no, float(time))
    first, second = SequenceChanges(sequences), SequenceChanges(sequences)
    for seq_no, time in numbers[committed:]:
        first.step(SOURCE, seq_no, float(time))
    again = SequenceChanges(sequences)
    for seq_no, time in numbers[committed:]:
        assert second.step(SOURCE, seq_no, float(time)) == again.step(SOURCE, seq_no, float(time))
    assert first.positions() == again.positions()


def test_a_restored_position_counts_only_what_was_missed_in_between() -> None:
    changes = SequenceChanges(Sequences())
    for number in range(20):
        changes.step(SOURCE, number, float(number))
    position = changes.positions()[SOURCE]
    assert position == Position(20, 19.0)
    second = Counted()
    second.sequences.restore(SOURCE, position)
    second.take(23)
    assert second.lost == 3


def test_duplicates_alone_move_no_position() -> None:
    sequences = Sequences()
    step(sequences, SOURCE, 0, 0.0)
    changes = SequenceChanges(sequences)
    assert changes.step(SOURCE, 0, 0.0).arrival is Arrival.DUPLICATE
    assert not changes.positions()


def test_sources_are_apart_and_the_longest_silent_is_forgotten() -> None:
    sequences = Sequences()
    for number in range(SOURCES_KEPT):
        step(sequences, source_of(number), 0, 0.0)
    step(sequences, source_of(0), 1, 1.0)
    step(sequences, source_of(SOURCES_KEPT), 0, 2.0)
    assert sequences.strands(source_of(0)) is not None
    assert sequences.strands(source_of(1)) is None
    assert step(sequences, source_of(0), 2, 3.0).lost == 0


def test_a_first_number_that_no_publisher_reaches_is_no_loss() -> None:
    assert SequenceChanges(Sequences()).step(SOURCE, FARTHEST_JUMP + 1, 1.0).lost == 0
    assert SequenceChanges(Sequences()).step(SOURCE, FARTHEST_JUMP, 1.0).lost == FARTHEST_JUMP


def test_memory_is_bounded_for_any_number_of_sources_and_strands() -> None:
    """Each source begins in the middle, leaves a gap in a strand of its own, and begins again."""
    sequences = Sequences()
    for number in range(2 * SOURCES_KEPT):
        step(sequences, source_of(number), 20_000 if number % 100 == 0 else 0, 1.0)
        for start in range(3):
            step(sequences, source_of(number), 0, 2.0 + start, start=True)
    strands = [strand for found in sequences._sources.values() for strand in found]
    assert len(strands) == sequences._strands <= STRANDS_KEPT_IN_ALL
    assert sum(len(strand.missing) for strand in strands) == sequences._missing <= MISSING_KEPT_IN_ALL
    last = source_of(2 * SOURCES_KEPT - 1)
    assert step(sequences, last, 1, 5.0).lost == 0, "the newest is remembered"
    assert step(sequences, last, 3, 5.0).lost == 1


def test_missing_numbers_are_bounded_within_a_batch() -> None:
    changes = SequenceChanges(Sequences())
    for number in range(3 * MISSING_KEPT_IN_ALL // MISSING_KEPT):
        assert changes.step(source_of(number), MISSING_KEPT, 1.0).lost == MISSING_KEPT
    assert sum(len(strand.missing) for found in changes.touched.values() for strand in found) <= MISSING_KEPT_IN_ALL
    assert changes.step(source_of(number), 5, 1.0).arrival is Arrival.LATE, "the newest are remembered"
