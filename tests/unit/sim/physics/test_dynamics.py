"""Sensors over time: they rest at the operating point, settle as fast as the closed form says, and latch."""

from __future__ import annotations

import numpy as np

from smurfq.sim.physics.circuit import solve_current
from smurfq.sim.physics.dynamics import change_bias, step
from smurfq.sim.physics.operating_point import at_bias, at_resistance, effective_time_constant
from smurfq.sim.physics.tes import Floats, TesParameters, bath_power

FRAME_S = 1 / 4000


def after(
    tes: TesParameters, temperature: Floats, bias: Floats, duration_s: float, step_s: float = FRAME_S
) -> tuple[Floats, Floats]:
    for _ in range(round(duration_s / step_s)):
        temperature, _ = step(tes, temperature, bias, step_s)
    return temperature, solve_current(tes, temperature, bias)[0]


def test_a_resting_sensor_stays_where_it_is(tes: TesParameters) -> None:
    point = at_resistance(tes, 0.5 * tes.r_n)
    temperature, current = after(tes, point.temperature, point.bias_a, 0.5)
    np.testing.assert_allclose(temperature, point.temperature, rtol=1e-9)
    np.testing.assert_allclose(current, point.current, rtol=1e-9)


def test_from_above_every_sensor_finds_its_point(tes: TesParameters) -> None:
    bias = np.full(40, 5 / 16_400)
    temperature, current = after(tes, np.full(40, 0.3), bias, 1.0)
    np.testing.assert_allclose(temperature, at_bias(tes, bias).temperature, rtol=1e-7)
    np.testing.assert_allclose(current, at_bias(tes, bias).current, rtol=1e-6)


def test_a_small_step_decays_with_the_effective_time_constant(tes: TesParameters) -> None:
    point = at_resistance(tes, 0.5 * tes.r_n)
    start = point.temperature + 1e-3 * tes.width
    later, _ = after(tes, start, point.bias_a, 2e-3)
    tau = -2e-3 / np.log((later - point.temperature) / (start - point.temperature))
    np.testing.assert_allclose(tau, effective_time_constant(tes, point), rtol=2e-3)


def test_a_frame_is_short_enough_for_a_large_step(tes: TesParameters) -> None:
    start = at_bias(tes, 9 / 16_400).temperature
    bias = np.full(40, 5 / 16_400)
    for duration_s in (1e-3, 3e-3, 10e-3, 30e-3):
        _, coarse = after(tes, start, bias, duration_s)
        _, fine = after(tes, start, bias, duration_s, FRAME_S / 16)
        np.testing.assert_allclose(coarse, fine, rtol=0.01)


def test_the_heat_that_does_not_flow_off_is_stored(tes: TesParameters) -> None:
    """Energy balance in motion: C dT is the Joule heat less what the bath took, over a fine sequence of steps."""
    bias, fine = np.full(40, 9 / 16_400), FRAME_S / 64
    start = temperature = at_bias(tes, 5 / 16_400).temperature
    stored = np.zeros(40)
    for _ in range(round(5e-3 / fine)):
        current, r = solve_current(tes, temperature, bias)
        stored += (current**2 * r - bath_power(tes, temperature)) * fine
        temperature, _ = step(tes, temperature, bias, fine)
    np.testing.assert_allclose(stored, tes.c * (temperature - start), rtol=5e-3)


def test_too_little_bias_latches_and_only_a_critical_current_frees(tes: TesParameters) -> None:
    temperature = at_bias(tes, 5 / 16_400).temperature
    low, middle, high = (np.full(40, volts / 16_400) for volts in (2.0, 5.0, 6.08 * 19.9))
    temperature, current = after(tes, temperature, low, 1.0)
    superconducting = tes.r_sh / (tes.r_sh + tes.r_p)
    np.testing.assert_allclose(current, low * superconducting, rtol=1e-6)
    temperature, current = after(tes, temperature, middle, 1.0)
    np.testing.assert_allclose(current, middle * superconducting, rtol=1e-6)
    temperature, _ = after(tes, temperature, high, 0.1)
    assert (temperature < 5.0).all()
    temperature, current = after(tes, temperature, middle, 1.0)
    np.testing.assert_allclose(current, at_bias(tes, middle).current, rtol=1e-6)


def test_without_bias_the_sensor_cools_to_its_bath(tes: TesParameters) -> None:
    temperature, current = after(tes, np.full(40, 0.5), np.zeros(40), 3.0)
    np.testing.assert_allclose(temperature, tes.t_b, rtol=1e-6)
    assert (current == 0).all()


def test_a_change_between_two_frames_is_half_a_frame_of_new_heat(tes: TesParameters) -> None:
    """One frame of the old bias, changed, is what half a frame of each bias is."""
    point = at_resistance(tes, 0.5 * tes.r_n)
    old, new = point.bias_a, 1.01 * point.bias_a
    held, _ = step(tes, point.temperature, old, FRAME_S)
    half, _ = step(tes, point.temperature, old, FRAME_S / 2)
    halves, _ = step(tes, half, new, FRAME_S / 2)
    changed = change_bias(tes, held, old, new, FRAME_S)
    np.testing.assert_allclose(changed - point.temperature, halves - point.temperature, rtol=0.1)
    np.testing.assert_array_equal(change_bias(tes, held, old, old, FRAME_S), held)
