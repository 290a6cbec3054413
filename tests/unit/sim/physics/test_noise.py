"""The spectra of generated noise agree with their closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import butter, lfilter, welch

from smurfq.sim.physics.noise import (
    RELAXATION_TIMES_S,
    Drift,
    decimated_noise_taps,
    relaxation_amplitude,
)

WHITE, KNEE_HZ = 65e-12, 0.05


@pytest.mark.parametrize("frequency", [0.001, 0.003, 0.01, 0.03])
def test_relaxations_sum_to_one_over_f(frequency: float) -> None:
    amplitude = relaxation_amplitude(WHITE, KNEE_HZ)
    times = RELAXATION_TIMES_S
    spectrum = (4 * amplitude**2 * times / (1 + (2 * np.pi * frequency * times) ** 2)).sum()
    np.testing.assert_allclose(spectrum, WHITE**2 * KNEE_HZ / frequency, rtol=0.25)


def test_a_drift_has_the_spectrum_of_its_relaxations() -> None:
    drift = Drift(np.ones(64), np.random.default_rng(1))
    times = np.arange(0, 1000, 0.1, dtype=np.float64)
    knots, weights = drift.knots(times)
    found_at, found = welch(knots @ weights, 10.0, nperseg=2048, detrend="linear")
    times_s = RELAXATION_TIMES_S[:, None]
    expected = (4 * times_s / (1 + (2 * np.pi * found_at * times_s) ** 2)).sum(axis=0)
    band = (found_at > 0.02) & (found_at < 0.5)
    np.testing.assert_allclose(found.mean(axis=0)[band].mean(), expected[band].mean(), rtol=0.1)


@pytest.mark.parametrize("edges", [(0.05, 0.31), (0.1, 0.2, 0.95), (0.5,)])
def test_a_drift_does_not_depend_on_how_it_is_asked(edges: tuple[float, ...]) -> None:
    times = np.arange(40, dtype=np.float64) * 0.025 + 1e-6
    whole, parts = (Drift(np.ones(3), np.random.default_rng(1)) for _ in range(2))
    knots, weights = whole.knots(times)
    pieces = np.split(times, np.searchsorted(times, edges))
    found = np.concatenate([k @ w for k, w in map(parts.knots, pieces)], axis=1)
    np.testing.assert_allclose(found, knots @ weights)


def test_a_drift_that_nobody_watched_is_not_made_up_for() -> None:
    drift = Drift(np.ones(3), np.random.default_rng(1))
    drift.knots(np.array([0.0]))
    knots, weights = drift.knots(np.array([1e9, 1e9 + 0.05]))  # would be ten thousand million knots
    assert np.isfinite(knots @ weights).all()


@pytest.mark.parametrize("factor", [8, 20, 40])
def test_taps_keep_the_variance_of_filtered_noise(factor: int) -> None:
    b, a = butter(4, 63 / 2000)
    impulse = lfilter(b, a, np.eye(1, 8000)[0])
    np.testing.assert_allclose((decimated_noise_taps(b, a, factor) ** 2).sum(), (impulse**2).sum(), rtol=1e-3)


def test_taps_make_the_spectrum_of_filtered_and_decimated_noise() -> None:
    b, a = butter(4, 63 / 2000)
    rng = np.random.default_rng(1)
    long_way = lfilter(b, a, rng.standard_normal((20, 200_000)), axis=1)[:, 4000::20]
    taps = decimated_noise_taps(b, a, 20)
    short_way = lfilter(taps, [1.0, 0.0], rng.standard_normal((20, 9_800)), axis=1)
    _, expected = welch(long_way, 200.0, nperseg=128)
    _, found = welch(short_way, 200.0, nperseg=128)
    np.testing.assert_allclose(found.mean(axis=0), expected.mean(axis=0), rtol=0.15)


def test_without_a_filter_every_sample_is_as_noisy_as_a_frame() -> None:
    np.testing.assert_allclose(decimated_noise_taps([1.0], [1.0], 20), [1.0])
