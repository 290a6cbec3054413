"""The SQUID's curve, and the flux ramp."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smurfq.sim.physics.squid import TWO_PI, ramp_phase, shift

LAMBDAS = st.floats(0.01, 0.9)


@given(LAMBDAS, st.floats(0.01, 1.0))
def test_a_turn_of_flux_sweeps_the_whole_swing_and_comes_back(squid_lambda: float, swing: float) -> None:
    moved = shift(np.linspace(0.0, TWO_PI, 1001, dtype=np.float64), np.asarray(squid_lambda), np.asarray(swing))
    assert np.ptp(moved) == pytest.approx(swing, rel=1e-4)
    assert moved.max() == pytest.approx(-moved.min(), rel=1e-3)
    assert moved[0] == pytest.approx(moved[-1])


@given(LAMBDAS)
def test_from_no_flux_to_half_a_turn_it_only_falls(squid_lambda: float) -> None:
    moved = shift(np.linspace(0.0, np.pi, 200, dtype=np.float64), np.asarray(squid_lambda), np.asarray(1.0))
    assert (np.diff(moved) < 0).all()


def test_a_weak_squid_is_a_cosine() -> None:
    phase = np.linspace(0.0, TWO_PI, 100, dtype=np.float64)
    np.testing.assert_allclose(shift(phase, np.asarray(1e-6), np.asarray(2.0)), np.cos(phase), atol=1e-5)


def test_the_ramp_turns_evenly() -> None:
    np.testing.assert_allclose(ramp_phase(np.array([0.0, 0.5, 1.0]), 5.0), [0.0, 5 * np.pi, 10 * np.pi])
