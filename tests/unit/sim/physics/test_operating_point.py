"""A sensor's operating point: energy balance, limits, monotony, and small-signal forms against finite differences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smurfq.sim.detectors import population
from smurfq.sim.physics.operating_point import (
    OperatingPoint,
    at_bias,
    at_resistance,
    effective_time_constant,
    latching_point,
    loop_gain,
    responsivity,
)
from smurfq.sim.physics.tes import TesParameters, bath_power, conductance, resistance


def balanced(tes: TesParameters, point: OperatingPoint) -> None:
    np.testing.assert_allclose(point.power + tes.p_opt, bath_power(tes, point.temperature), rtol=1e-9)
    np.testing.assert_allclose(point.bias_a * tes.r_sh, point.current * (tes.r_l + point.r), rtol=1e-9)
    np.testing.assert_allclose(point.r, resistance(tes, point.temperature), rtol=1e-9)


@given(bias=st.floats(0.25e-3, 7e-3), load=st.floats(0.0, 2e-12))
def test_the_power_in_a_sensor_at_rest_flows_to_its_bath(bias: float, load: float) -> None:
    tes = replace(population(3, 5).tes, p_opt=np.full(5, load))
    balanced(tes, at_bias(tes, bias))


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9])
def test_the_two_ways_to_a_point_agree(tes: TesParameters, fraction: float) -> None:
    point = at_resistance(tes, fraction * tes.r_n)
    balanced(tes, point)
    np.testing.assert_allclose(at_bias(tes, point.bias_a).r, point.r, rtol=1e-6)


@given(st.floats(0.25e-3, 5e-3), st.floats(0.25e-3, 5e-3))
def test_resistance_grows_with_bias(one: float, other: float) -> None:
    tes = population(3, 5).tes
    low, high = at_bias(tes, min(one, other)).r, at_bias(tes, max(one, other)).r
    assert (low <= high * (1 + 1e-9)).all()


def test_far_above_the_transition_the_sensor_is_a_resistor(tes: TesParameters) -> None:
    point = at_bias(tes, 7e-3)
    np.testing.assert_allclose(point.r, tes.r_n)
    np.testing.assert_allclose(point.current, 7e-3 * tes.r_sh / (tes.r_l + tes.r_n))


def test_a_sensor_latches_below_the_bias_that_holds_its_power(tes: TesParameters) -> None:
    threshold = latching_point(tes)
    np.testing.assert_allclose(threshold.r, tes.r_l)
    assert np.isnan(at_bias(tes, 0.999 * threshold.bias_a.min()).r).all()
    assert np.isfinite(at_bias(tes, 1.001 * threshold.bias_a.max()).r).all()
    # A little below 3.7 V of bias: the prototype's slot latched there.
    np.testing.assert_allclose(threshold.bias_a * 16_400, 3.6, atol=0.5)


def test_optical_power_replaces_joule_power(make_sensors: Callable[..., TesParameters]) -> None:
    dark, bright = make_sensors(), make_sensors(p_opt=1e-12)
    in_dark, in_light = at_bias(dark, 5 / 16_400), at_bias(bright, 5 / 16_400)
    assert (in_light.r > in_dark.r).all()
    # A sharp transition holds its temperature, so the total power stays almost the same.
    np.testing.assert_allclose(in_light.power + 1e-12, in_dark.power, rtol=0.03)
    assert np.isnan(at_resistance(make_sensors(p_opt=1e-11), 0.5 * dark.r_n).current).all()


def test_a_negative_bias_drives_the_current_the_other_way(tes: TesParameters) -> None:
    up, down = at_bias(tes, 4e-4), at_bias(tes, -4e-4)
    np.testing.assert_array_equal(down.current, -up.current)
    np.testing.assert_array_equal(down.r, up.r)
    np.testing.assert_array_equal(responsivity(tes, down), -responsivity(tes, up))


def test_responsivity_is_the_slope_of_current_with_optical_power(tes: TesParameters) -> None:
    small = 1e-17
    bias = at_resistance(tes, 0.5 * tes.r_n).bias_a
    more, less = (at_bias(replace(tes, p_opt=np.full(40, sign * small)), bias).current for sign in (1, -1))
    slope = (more - less) / (2 * small)
    np.testing.assert_allclose(responsivity(tes, at_bias(tes, bias)), slope, rtol=1e-3)


def test_strong_feedback_makes_responsivity_the_inverse_voltage(make_sensors: Callable[..., TesParameters]) -> None:
    sharp = make_sensors(width=1e-6)
    point = at_resistance(sharp, 0.5 * sharp.r_n)
    ideal = -1 / (point.current * (point.r - sharp.r_l))
    np.testing.assert_allclose(responsivity(sharp, point), ideal, rtol=1e-3)


def test_a_superconducting_and_a_normal_sensor_do_not_respond(tes: TesParameters) -> None:
    zero = np.zeros(40)
    superconducting = OperatingPoint(np.full(40, tes.t_b), zero, np.full(40, 1e-4), np.full(40, 1e-4))
    np.testing.assert_array_equal(responsivity(tes, superconducting), zero)
    np.testing.assert_allclose(responsivity(tes, at_bias(tes, 3e-3)), 0.0, atol=1.0)
    unbiased = replace(superconducting, current=zero)
    np.testing.assert_array_equal(responsivity(tes, unbiased), zero)


def test_feedback_makes_a_sensor_faster_than_its_heat_capacity(tes: TesParameters) -> None:
    point = at_resistance(tes, 0.5 * tes.r_n)
    natural = tes.c / conductance(tes, point.temperature)
    assert (loop_gain(tes, point) > 10).all()
    assert (effective_time_constant(tes, point) < natural / 10).all()
    assert (effective_time_constant(tes, point) > 1e-3).all()
    normal = at_bias(tes, 3e-3)
    natural = tes.c / conductance(tes, normal.temperature)
    np.testing.assert_allclose(effective_time_constant(tes, normal), natural, rtol=1e-6)
