"""The header of a sample has the fields that sotodlib reads, and stretches can be joined."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smurfq.errors import StreamError
from smurfq.sim.samples import NUM_BIAS_LINES, PRIMARY_NAMES, Samples, joined, timing_counters

EPOCH_1990_S = 631152000


def samples(first: int, count: int, channels: int = 3, groups: int = 12) -> Samples:
    frames = np.arange(first, first + count, dtype=np.int64)
    return Samples(
        time_ns=1_700_000_000_000_000_000 + frames * 250_000,
        counts=(frames + 1000 * np.arange(channels)[:, None]).astype(np.int32),
        tes_biases=(frames % 7 + 100 * np.arange(groups)[:, None]).astype(np.int32),
        frame_counter=frames,
        relays=frames % 2,
    )


@given(st.integers(631152000 * 10**9, 25 * 10**17))
def test_the_counters_give_the_time_back(time_ns: int) -> None:
    counter0, counter2 = (int(found[0]) for found in timing_counters(np.array([time_ns])))
    seconds, rest_ns = counter2 >> 32, counter2 & 0xFFFFFFFF
    assert (seconds + EPOCH_1990_S) * 10**9 + rest_ns == time_ns
    assert 0 <= counter0 < 480_000
    # What sotodlib makes of both: whole seconds of one, the rest of the other, to a tick of 480 kHz.
    whole_s = round(seconds + EPOCH_1990_S + rest_ns * 1e-9 - counter0 / 480_000)
    assert whole_s == time_ns // 10**9
    assert abs(counter0 / 480_000 - rest_ns * 1e-9) <= 1 / 480_000 + 1e-12


def test_the_header_has_the_counters_only_with_high_precision() -> None:
    stretch = samples(5, 40)
    low, high = (stretch.primary(high_precision=precise) for precise in (False, True))
    rows = {name: row for row, name in enumerate(PRIMARY_NAMES)}
    for header in (low, high):
        assert header.dtype == np.int64
        assert header.shape == (9, 40)
        np.testing.assert_array_equal(header[rows["UnixTime"]], stretch.time_ns)
        np.testing.assert_array_equal(header[rows["FrameCounter"]], stretch.frame_counter)
        np.testing.assert_array_equal(header[rows["TESRelaySetting"]], stretch.relays)
    assert not low[[rows["Counter0"], rows["Counter1"], rows["Counter2"]]].any()
    assert set(np.diff(high[rows["Counter0"]]).tolist()) == {120}
    assert (np.diff(high[rows["Counter2"]]) > 0).all()


def test_the_biases_fill_sixteen_lines() -> None:
    lines = samples(0, 6).bias_lines()
    assert lines.shape == (NUM_BIAS_LINES, 6)
    assert lines[3].tolist() == [300, 301, 302, 303, 304, 305]
    assert not lines[12:].any()


@given(st.lists(st.integers(0, 9), min_size=1, max_size=6))
def test_parts_join_to_the_whole(sizes: list[int]) -> None:
    starts = np.cumsum([0, *sizes])
    whole = joined([samples(int(start), size) for start, size in zip(starts, sizes, strict=False)])
    expected = samples(0, sum(sizes))
    for name in ("time_ns", "counts", "tes_biases", "frame_counter", "relays"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(expected, name))


@pytest.mark.parametrize("name", ["counts", "tes_biases", "frame_counter", "relays"])
def test_samples_of_wrong_shapes_are_rejected(name: str) -> None:
    right = samples(0, 5)
    with pytest.raises(StreamError, match="as many columns as times"):
        Samples(**{**vars(right), name: getattr(samples(0, 6), name)})


def test_more_bias_lines_than_the_header_has_are_rejected() -> None:
    with pytest.raises(StreamError, match="at most 16"):
        samples(0, 5, groups=17)
