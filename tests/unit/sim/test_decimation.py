"""The stream's filter agrees with scipy's at the frames that are kept."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.signal import butter, lfilter, lfilter_zi

from smurfq.sim.decimation import Decimator, Processing
from smurfq.sim.motion import Currents

# A hundredth of a count where a sensor is in its transition; the poles so near 1 cost digits.
SMALL = 2e-8
B, A = (tuple(c.tolist()) for c in butter(4, 63 / 2000))


def stretches(trace: npt.NDArray[Any], moved: npt.NDArray[Any], cuts: list[int]) -> list[tuple[int, Currents]]:
    """The currents of detectors, all constant but those in ``moved``, cut into stretches."""
    edges = [0, *cuts, len(trace)]
    return [
        (begin, Currents(trace[end - 1].copy(), moved, trace[begin:end, moved], end - begin))
        for begin, end in pairwise(edges)
    ]


@pytest.mark.parametrize("factor", [1, 7, 20])
@pytest.mark.parametrize("cuts", [[], [1, 2, 19, 401], [400, 800]])
def test_it_is_the_filter_and_then_every_so_manieth_frame(factor: int, cuts: list[int]) -> None:
    trace = np.random.default_rng(1).standard_normal((1000, 5)).cumsum(axis=0)
    start = trace[0].copy()
    expected, _ = lfilter(B, A, 2.5 * trace, axis=0, zi=2.5 * lfilter_zi(B, A)[:, None] * start)
    decimator = Decimator(Processing(factor, B, A, 2.5), start)
    found = []
    for begin, part in stretches(trace, np.arange(5), cuts):
        kept = np.arange(-begin % factor, part.n_frames, factor)
        index, out = decimator.run(part, kept)
        assert index.tolist() == [0, 1, 2, 3, 4]
        found.append(out)
    np.testing.assert_allclose(np.concatenate(found), expected[::factor], atol=SMALL * np.abs(trace).max())


def test_a_detector_at_rest_rings_for_a_while_and_then_takes_no_time() -> None:
    trace = np.full((4000, 3), 50e-6)
    trace[100:, 1] = 40e-6
    whole = lfilter(B, A, trace[:, 1], zi=lfilter_zi(B, A) * trace[0, 1])[0]
    decimator = Decimator(Processing(20, B, A), trace[0])
    kept = np.arange(0, 400, 20)
    _, first = decimator.run(Currents(trace[200], np.array([1]), trace[:200, [1]], 200), kept[:10])
    np.testing.assert_allclose(first[:, 0], whole[:200:20], rtol=SMALL)
    still = Currents(trace[-1], np.array([], np.intp), np.empty((400, 0)), 400)
    index, second = decimator.run(still, kept)
    assert index.tolist() == [1]
    np.testing.assert_allclose(second[:, 0], whole[200:600:20], rtol=SMALL)
    index, _ = decimator.run(still, kept)
    assert index.size == 0


def test_a_detector_that_moves_again_starts_from_rest() -> None:
    decimator = Decimator(Processing(1, B, A), np.array([1.0, 3.0]))
    _, out = decimator.run(Currents(np.array([1.0, 3.0]), np.array([1]), np.full((10, 1), 3.0), 10), np.arange(10))
    np.testing.assert_allclose(out, 3.0)


def test_rest_forgets_the_past() -> None:
    decimator = Decimator(Processing(1, B, A), np.array([0.0]))
    decimator.run(Currents(np.array([5.0]), np.array([0]), np.full((3, 1), 5.0), 3), np.arange(3))
    decimator.rest()
    index, _ = decimator.run(Currents(np.array([5.0]), np.array([], np.intp), np.empty((3, 0)), 3), np.arange(3))
    assert index.size == 0


def test_without_a_filter_frames_are_kept_as_they_are() -> None:
    trace = np.arange(12, dtype=np.float64)[:, None]
    index, out = Decimator(Processing(5, (3.0,), (1.5,)), np.zeros(1)).run(
        Currents(trace[-1], np.array([0]), trace, 12), np.array([0, 5, 10])
    )
    assert index.tolist() == [0]
    np.testing.assert_allclose(out[:, 0], [0, 10, 20])


@pytest.mark.parametrize("wrong", [{"factor": 0}, {"a": (0.0, 1.0)}, {"a": (1.0, -1.0)}, {"a": ()}, {"b": ()}])
def test_a_filter_that_cannot_be_is_rejected(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="got"):
        Processing(**wrong)
