"""The sensors' currents do not depend on the division into stretches, and sensors at rest are not computed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from smurfq.sim.detectors import Detectors, population
from smurfq.sim.motion import Motion
from smurfq.sim.physics.operating_point import at_bias, responsivity

FRAME_S = 1 / 4000
OVERBIAS_A, BIAS_A = 7e-3, 5 / 16_400


@pytest.fixture(scope="module")
def detectors() -> Detectors:
    return population(1, 120)


@pytest.fixture
def motion(detectors: Detectors) -> Motion:
    """Sensors that rest in their transition at 5 V."""
    motion = Motion(detectors, FRAME_S, 12)
    motion.run(constant(OVERBIAS_A, 400))
    motion.run(constant(BIAS_A, 8000))
    return motion


def constant(bias_a: float, n_frames: int) -> npt.NDArray[Any]:
    return np.full((12, n_frames), bias_a)


def one_group(group: int, n_frames: int, bias_a: npt.NDArray[Any] | float) -> npt.NDArray[Any]:
    biases = constant(BIAS_A, n_frames)
    biases[group] = bias_a
    return biases


def test_at_power_up_nothing_moves(detectors: Detectors) -> None:
    motion = Motion(detectors, FRAME_S, 12)
    currents = motion.run(np.zeros((12, 100)))
    assert motion.resting
    assert currents.moved.size == 0
    assert (currents.steady == 0).all()


def test_all_that_are_wired_rest_at_their_points(detectors: Detectors, motion: Motion) -> None:
    assert motion.resting
    expected = at_bias(detectors.tes, BIAS_A)
    wired = detectors.responsive
    np.testing.assert_allclose(motion.point().r[wired], expected.r[wired], rtol=1e-5)
    np.testing.assert_allclose(motion.current[wired], expected.current[wired], atol=20e-12)
    np.testing.assert_allclose(motion.responsivity[wired], responsivity(detectors.tes, expected)[wired], rtol=1e-4)
    assert (motion.current[~wired] == 0).all()
    assert (motion.responsivity[~wired] == 0).all()


def test_only_the_group_that_changes_moves(detectors: Detectors, motion: Motion) -> None:
    before = motion.current.copy()
    currents = motion.run(one_group(4, 1200, np.repeat([BIAS_A, 1.02 * BIAS_A], 600)))
    members = np.flatnonzero(detectors.responsive & (detectors.bias_group == 4))
    assert currents.moved.tolist() == members.tolist()
    others = np.setdiff1d(np.arange(120), members)
    np.testing.assert_array_equal(currents.steady[others], before[others])
    # It answers in the frame of the change, first almost as a resistor does, and then with negative feedback.
    np.testing.assert_array_equal(currents.trace[:600], np.broadcast_to(before[members], (600, members.size)))
    np.testing.assert_allclose(currents.trace[600], 1.02 * before[members], rtol=6e-3)
    assert (currents.trace[-1] < before[members]).all()
    np.testing.assert_array_equal(currents.trace[-1], currents.steady[members])


@pytest.mark.parametrize("cuts", [[1], [16, 17, 400], [250, 650, 651]])
def test_currents_do_not_depend_on_how_time_is_cut(detectors: Detectors, cuts: list[int]) -> None:
    rng = np.random.default_rng(1)
    biases = constant(BIAS_A, 800)
    biases[:, 100:] *= 1.01
    biases[2, 300:500] *= 1 + 0.01 * np.sin(np.arange(200) / 20)
    biases[7, 500:] *= 1 + 0.002 * rng.standard_normal(300)
    whole, cut = (Motion(detectors, FRAME_S, 12) for _ in range(2))
    for each in (whole, cut):
        each.run(constant(OVERBIAS_A, 400))
        each.run(constant(BIAS_A, 8000))
    expected = whole.run(biases)
    found = np.tile(cut.current, (800, 1))
    for begin, end in zip([0, *cuts], [*cuts, 800], strict=True):
        part = cut.run(biases[:, begin:end])
        found[begin:end] = part.steady
        found[begin:end, part.moved] = part.trace
    np.testing.assert_allclose(found[:, expected.moved], expected.trace, atol=5e-12)


def test_a_group_that_plays_a_wave_does_not_keep_the_others_awake(motion: Motion) -> None:
    wave = BIAS_A * (1 + 0.01 * np.sin(np.arange(4000) / 60))
    motion.run(constant(1.001 * BIAS_A, 100))
    motion.run(one_group(3, 4000, wave) * np.where(np.arange(12) == 3, 1.0, 1.001)[:, None])
    last = motion.run(one_group(3, 400, wave[:400]) * np.where(np.arange(12) == 3, 1.0, 1.001)[:, None])
    assert 0 < last.moved.size < 15


def test_light_wakes_the_sensors_and_moves_them(detectors: Detectors, motion: Motion) -> None:
    dark = motion.point().r.copy()
    motion.load(1e-12)
    assert not motion.resting
    motion.run(constant(BIAS_A, 4000))
    wired = detectors.responsive
    assert (motion.point().r[wired] > 1.2 * dark[wired]).all()
    assert motion.resting
