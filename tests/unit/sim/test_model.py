"""A slot's model as a stream sees it: the counts are currents with the true noise, and change at the right frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.signal import butter, welch

from smurfq.sim.decimation import Processing
from smurfq.sim.detectors import Detectors, population, truth
from smurfq.sim.model import SlotModel
from smurfq.sim.physics.operating_point import at_bias, loop_gain
from smurfq.sim.physics.tes import conductance
from smurfq.sim.sampler import Sampler, rows_of
from smurfq.sim.wiring import BIAS_LINE_OHM

A_PER_COUNT = 9e-6 / 65536
LOW, HIGH = np.zeros((12, 1), bool), np.ones((12, 1), bool)
B, A = butter(4, 63 / 2000)
FILTERED = Processing(20, tuple(B.tolist()), tuple(A.tolist()))
EVERY_FRAME = Processing(1)


@pytest.fixture(scope="module")
def detectors() -> Detectors:
    return population(1, 200)


@pytest.fixture
def model(detectors: Detectors) -> SlotModel:
    """A slot that was overbiased and rests at 5 V; its next frame is 8800."""
    model = SlotModel(detectors, seed=2)
    model.advance(0, volts(19.9, 800), HIGH)
    model.advance(800, volts(5.0, 8000), LOW)
    return model


def volts(bias_v: float, n_frames: int) -> npt.NDArray[Any]:
    return np.full((12, n_frames), bias_v)


def currents(detectors: Detectors, counts: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The currents (A) in a stream, up to whole turns and each detector's own phase."""
    return counts * A_PER_COUNT * detectors.polarity[:, None]


def test_counts_are_currents_with_sign_phase_and_whole_turns(detectors: Detectors, model: SlotModel) -> None:
    _, counts = model.advance(8800, volts(5.0, 400), LOW, model.sampler(detectors.absolute_channel, EVERY_FRAME))
    current = np.where(detectors.responsive, at_bias(detectors.tes, 5.0 / BIAS_LINE_OHM).current, 0.0)
    turns = counts.mean(axis=1) / 65536 - detectors.polarity * current / 9e-6 - detectors.phase_offset
    np.testing.assert_allclose(turns, np.rint(turns), atol=2e-3)
    assert (np.abs(counts[:, 0]) <= 32768).all()
    assert counts.dtype == np.int32


@pytest.mark.parametrize(("factor", "frames"), [(1, 400), (20, 20), (7, 57)])
def test_the_frames_kept_are_those_that_the_factor_divides(
    detectors: Detectors, model: SlotModel, factor: int, frames: int
) -> None:
    sampler = model.sampler(detectors.absolute_channel[:3], Processing(factor))
    kept, counts = model.advance(8801, volts(5.0, 400), LOW, sampler)
    assert kept.tolist() == [frame for frame in range(8801, 9201) if frame % factor == 0]
    assert counts.shape == (3, frames)


def test_a_stretch_may_hold_no_sample(detectors: Detectors, model: SlotModel) -> None:
    sampler = model.sampler(detectors.absolute_channel, FILTERED)
    for first, n_frames in ((8801, 5), (8806, 0)):
        kept, counts = model.advance(first, volts(5.1, n_frames), LOW, sampler)
        assert kept.size == 0
        assert counts.shape == (200, 0)


@pytest.mark.parametrize(
    "processing", [FILTERED, EVERY_FRAME, Processing(20, gain=2.0), Processing(4, FILTERED.b, FILTERED.a)]
)
def test_white_noise_is_as_the_truth_says(detectors: Detectors, model: SlotModel, processing: Processing) -> None:
    sampler = model.sampler(detectors.absolute_channel, processing)
    _, counts = model.advance(8800, volts(5.0, 40_000), LOW, sampler)
    rate = 4000 / processing.factor
    frequencies, spectrum = welch(counts * A_PER_COUNT, rate, nperseg=int(rate))
    level = np.sqrt(spectrum[:, (frequencies >= 10) & (frequencies <= 30)].mean(axis=1))
    if not processing.filters and processing.factor > 1:  # what lies above is folded down
        level /= processing.gain * np.sqrt(processing.factor)
    ratio = level * 1e12 / truth(detectors)["white_noise_pa"]
    np.testing.assert_allclose(np.median(ratio), 1.0, atol=0.03)
    np.testing.assert_allclose(ratio, 1.0, atol=0.3)


def test_a_bias_shows_in_the_frame_from_which_it_holds(detectors: Detectors, model: SlotModel) -> None:
    biases = volts(5.0, 400)
    biases[:, 150:] = 5.1
    _, counts = model.advance(8800, biases, LOW, model.sampler(detectors.absolute_channel, EVERY_FRAME))
    wired = detectors.responsive
    current = currents(detectors, counts)[wired]
    before, after = current[:, 100:150].mean(axis=1), current[:, 150]
    as_resistor = at_bias(detectors.tes, 5.0 / BIAS_LINE_OHM).current[wired] * 0.02
    # The change fell somewhere between two frames, so the feedback has already taken a part of it.
    assert (np.abs((after - before) / as_resistor - 0.85) < 0.12).all()


def test_low_and_high_current_of_the_same_current_are_the_same(detectors: Detectors, model: SlotModel) -> None:
    before = model.point().current.copy()
    model.advance(8800, volts(5.0 / 6.08, 4000), HIGH)
    np.testing.assert_allclose(model.point().current, before, atol=20e-12)


def test_a_filtered_stream_settles_at_the_new_current(detectors: Detectors, model: SlotModel) -> None:
    sampler = model.sampler(detectors.absolute_channel, FILTERED)
    _, first = model.advance(8800, volts(5.0, 4000), LOW, sampler)
    _, second = model.advance(12_800, volts(6.0, 8000), LOW, sampler)
    change = currents(detectors, second[:, 200:]).mean(axis=1) - currents(detectors, first).mean(axis=1)
    at = [at_bias(detectors.tes, v / BIAS_LINE_OHM).current for v in (5.0, 6.0)]
    expected = np.where(detectors.responsive, at[1] - at[0], 0.0)
    np.testing.assert_allclose(change, expected, atol=1e-9)


def test_rows_follow_the_mask_and_bare_tones_are_noise(detectors: Detectors, model: SlotModel) -> None:
    bare = np.setdiff1d(np.arange(4096), detectors.absolute_channel)[[0, 500]]
    mask = np.array([detectors.absolute_channel[5], bare[0], detectors.absolute_channel[0], bare[1]])
    assert rows_of(detectors, mask).tolist() == [5, -1, 0, -1]
    sampler = model.sampler(mask, EVERY_FRAME)
    _, counts = model.advance(8800, volts(6.0, 4000), LOW, sampler)
    np.testing.assert_allclose(counts[[1, 3]].mean(axis=1), 0.0, atol=10)
    np.testing.assert_allclose(counts[[1, 3]].std(axis=1) * A_PER_COUNT, 65e-12 * np.sqrt(2000), rtol=0.1)


def test_rezero_brings_the_phase_back_to_the_turn_around_zero(detectors: Detectors, model: SlotModel) -> None:
    sampler = model.sampler(detectors.absolute_channel, EVERY_FRAME)
    model.advance(8800, volts(5.0, 400), LOW, sampler)
    _, far = model.advance(9200, volts(12.0, 2000), LOW, sampler)
    assert (np.abs(far[:, -1]) > 40_000).any()
    sampler.rezero()
    _, near = model.advance(11_200, volts(12.0, 400), LOW, sampler)
    assert (np.abs(near[:, 0]) <= 32768).all()
    turns = (near.mean(axis=1) - far[:, -400:].mean(axis=1)) / 65536
    np.testing.assert_allclose(turns, np.rint(turns), atol=0.05)
    assert not np.array_equal(np.rint(turns), np.zeros(200))


def test_detectors_in_transition_drift_together_and_others_do_not(detectors: Detectors) -> None:
    model = SlotModel(detectors, seed=2)
    model.advance(0, volts(19.9, 800), HIGH)
    model.advance(800, volts(5.0, 8000), LOW)
    sampler = model.sampler(detectors.absolute_channel, FILTERED)
    five_seconds = volts(5.0, 20_000)  # whose mean has little white noise left
    means = [
        currents(detectors, model.advance(8800 + 20_000 * number, five_seconds, LOW, sampler)[1]).mean(axis=1)
        for number in range(60)
    ]
    together = np.corrcoef(np.array(means).T)
    wired = detectors.responsive
    assert np.median(together[np.ix_(wired, wired)]) > 0.5
    assert abs(np.median(together[np.ix_(wired, ~wired)])) < 0.3


def test_the_same_seed_gives_the_same_stream(detectors: Detectors) -> None:
    streams = []
    for seed in (5, 5, 6):
        model = SlotModel(detectors, seed)
        sampler: Sampler = model.sampler(detectors.absolute_channel, FILTERED)
        streams.append(model.advance(0, volts(0.0, 4000), LOW, sampler)[1])
    np.testing.assert_array_equal(streams[0], streams[1])
    assert not np.array_equal(streams[0], streams[2])


def test_an_iv_curve_gives_back_resistance_and_power(detectors: Detectors) -> None:
    """R_n, R_L and p_sat out of noisy counts alone, by the formulas of an IV analysis."""
    model = SlotModel(detectors, seed=2)
    model.advance(0, volts(19.9, 800), HIGH)
    model.advance(800, volts(16.0, 8000), LOW)
    sampler = model.sampler(detectors.absolute_channel, FILTERED)
    steps = np.arange(16.0, 4.0, -0.1)
    current = []
    for number, bias_v in enumerate(steps.tolist()):
        _, counts = model.advance(8800 + 400 * number, volts(bias_v, 400), LOW, sampler)
        current.append(currents(detectors, counts[:, 8:]).mean(axis=1))
    wired = detectors.responsive
    response, bias_a = np.array(current)[:, wired], steps / BIAS_LINE_OHM
    response -= np.polyfit(bias_a[:40], response[:40], 1)[1]
    tes = detectors.tes
    r = tes.r_sh * (bias_a[:, None] / response - 1)
    known = truth(detectors)
    r_n = r[:40].mean(axis=0)
    np.testing.assert_allclose(r_n, known["R_n"][wired], rtol=2e-3)
    power = response**2 * r
    p_sat = [np.interp(0.9, (r[::-1, i] / r_n[i]), power[::-1, i]) for i in range(int(wired.sum()))]
    np.testing.assert_allclose(p_sat, known["p_sat"][wired], rtol=5e-3)


@pytest.mark.parametrize("shape", [(11, 5), (12,)])
def test_biases_of_another_shape_are_rejected(detectors: Detectors, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\(12, n_frames\)"):
        SlotModel(detectors, 1).advance(0, np.zeros(shape), False)


@pytest.mark.parametrize("wave_hz", [5.0, 23.0, 100.0])
def test_a_bias_wave_is_answered_as_the_small_signal_theory_says(detectors: Detectors, wave_hz: float) -> None:
    """Their impedance at beta = 0 is ``Z = R (1 + 2 L/(1 - L + i w tau))``, and ``dI/dI_b = R_sh/(R_L + Z)``."""
    model = SlotModel(detectors, seed=2)
    model.advance(0, volts(19.9, 800), HIGH)
    model.advance(800, volts(5.5, 8000), LOW)
    n_frames = 8000
    wave = np.exp(2j * np.pi * wave_hz * np.arange(n_frames) / 4000)
    bias_a = np.tile((5.5 + 0.01 * wave.real) / BIAS_LINE_OHM, (12, 1))
    point, tes, wired = model.point(), detectors.tes, detectors.responsive
    moved = model._motion.run(bias_a)  # without noise
    found = 2 * (moved.trace[4000:] * wave.conj()[4000:, None]).mean(axis=0) / (0.01 / BIAS_LINE_OHM)
    gain = loop_gain(tes, point)
    natural = tes.c / conductance(tes, point.temperature)
    slow = 1 - gain + 2j * np.pi * wave_hz * natural
    impedance = point.r * (1 + 2 * gain / slow)
    expected = (tes.r_sh / (tes.r_l + impedance))[wired]
    np.testing.assert_allclose(found, expected, rtol=0.02)
