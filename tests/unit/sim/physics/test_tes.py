"""The sensor: limits and slopes of its resistance and of its heat flow."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smurfq.sim.detectors import population
from smurfq.sim.physics.tes import (
    TesParameters,
    bath_power,
    conductance,
    resistance,
    resistance_slope,
    temperature_at,
)


def test_resistance_goes_from_nothing_to_normal_through_half_at_t_c(tes: TesParameters) -> None:
    np.testing.assert_allclose(resistance(tes, np.full(40, tes.t_b)), 0.0, atol=1e-12)
    np.testing.assert_allclose(resistance(tes, tes.t_c), tes.r_n / 2)
    np.testing.assert_allclose(resistance(tes, tes.t_c + 0.1), tes.r_n)


@given(st.floats(0.1, 1.0), st.floats(0.1, 1.0), st.floats(0.0, 5e-3), st.floats(0.0, 5e-3))
def test_resistance_never_falls_with_temperature_or_current(t1: float, t2: float, i1: float, i2: float) -> None:
    tes = population(3, 5).tes
    cold, hot = np.full(5, min(t1, t2)), np.full(5, max(t1, t2))
    low, high = np.full(5, min(i1, i2)), np.full(5, max(i1, i2))
    assert (resistance(tes, cold, low) <= resistance(tes, hot, high)).all()
    assert (resistance(tes, hot, high) <= tes.r_n).all()


def test_current_below_the_critical_one_changes_nothing(tes: TesParameters) -> None:
    at_t_c = resistance(tes, tes.t_c)
    np.testing.assert_array_equal(resistance(tes, tes.t_c, 0.99 * tes.i_c), at_t_c)
    assert (resistance(tes, tes.t_c, -1.5 * tes.i_c) > at_t_c).all()


def test_slopes_are_derivatives(tes: TesParameters) -> None:
    temperature, small = tes.t_c + 0.3 * tes.width, 1e-8
    by_difference = (resistance(tes, temperature + small) - resistance(tes, temperature - small)) / (2 * small)
    np.testing.assert_allclose(resistance_slope(tes, resistance(tes, temperature)), by_difference, rtol=1e-6)
    by_difference = (bath_power(tes, temperature + small) - bath_power(tes, temperature - small)) / (2 * small)
    np.testing.assert_allclose(conductance(tes, temperature), by_difference, rtol=1e-6)


@pytest.mark.parametrize("fraction", [0.05, 0.5, 0.95])
def test_temperature_at_is_the_inverse_of_resistance(tes: TesParameters, fraction: float) -> None:
    r = fraction * tes.r_n
    np.testing.assert_allclose(resistance(tes, temperature_at(tes, r)), r)


def test_no_heat_flows_at_the_temperature_of_the_bath(tes: TesParameters) -> None:
    np.testing.assert_allclose(bath_power(tes, np.full(40, tes.t_b)), 0.0, atol=1e-27)
    assert (bath_power(tes, tes.t_c) > 0).all()


def test_take_keeps_what_all_share(tes: TesParameters) -> None:
    some = tes.take(np.array([3, 1]))
    np.testing.assert_array_equal(some.t_c, tes.t_c[[3, 1]])
    assert (some.r_sh, some.t_b, some.exponent) == (tes.r_sh, tes.t_b, tes.exponent)
    np.testing.assert_array_equal(some.r_l, some.r_sh + some.r_p)
