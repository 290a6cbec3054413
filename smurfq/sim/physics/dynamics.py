"""Advances the sensors by one step of their thermal differential equation."""

from __future__ import annotations

import numpy as np

from smurfq.sim.physics.circuit import solve_current
from smurfq.sim.physics.tes import Floats, TesParameters, bath_power, conductance, resistance, resistance_slope

_LARGEST_GROWTH = 2.0  # limit of the exponent in one step, so that a runaway ends on the other branch
_HOTTEST_K = 5.0


def step(tes: TesParameters, temperature: Floats, bias_a: Floats, step_s: float) -> tuple[Floats, Floats]:
    """Return the temperatures (K) one step later, and the currents (A) at the step's beginning.

    ``C dT/dt = I^2 R + P_opt - k (T^n - T_b^n)`` by the exponential Rosenbrock-Euler method (Hochbruck and
    Ostermann, *Acta Numerica* 19 (2010) 209): exact for the linearised equation, of second order for
    this one, and stable for any time constant. So one step for each flux-ramp frame is enough. The inductance is
    neglected, since its time constant is below a frame.
    """
    current, r = solve_current(tes, temperature, bias_a)
    heat = current * current * r + tes.p_opt - bath_power(tes, temperature)
    exponent = heat_slope(tes, temperature, current, r) * (step_s / tes.c)
    # 1e-12 prevents 0/0 in expm1(z)/z and has no other effect.
    exponent = np.minimum(exponent, _LARGEST_GROWTH) + 1e-12
    moved = temperature + np.expm1(exponent) / exponent * heat * (step_s / tes.c)
    return _bounded(tes, moved), current


def change_bias(tes: TesParameters, temperature: Floats, old_a: Floats, new_a: Floats, step_s: float) -> Floats:
    """Return the temperatures (K) after a change of the bias which, on average, happened half a step ago.

    A step uses the bias at its beginning. Without this correction, the sensors would follow a wave half a step late.
    Critical currents are ignored here, since they do not matter for small changes.
    """
    r = resistance(tes, temperature)
    share = tes.r_sh / (tes.r_l + r)
    return _bounded(tes, temperature + 0.5 * step_s / tes.c * r * share * share * (new_a * new_a - old_a * old_a))


def _bounded(tes: TesParameters, temperature: Floats) -> Floats:
    """Limit ``temperature``: a huge overbias, or its end, could otherwise change it without limit."""
    bounded: Floats = np.minimum(np.maximum(temperature, 0.5 * tes.t_b), _HOTTEST_K)
    return bounded


def heat_slope(tes: TesParameters, temperature: Floats, current: Floats, r: Floats) -> Floats:
    """Return the slope of the net heating with temperature (W/K), negative if the feedback is stable.

    ``I^2 dR/dT (R_L - R)/(R_L + R) - G``: the Joule power of a sensor that is stiffly voltage biased (R > R_L) falls
    as it warms.
    """
    joule = current * current * resistance_slope(tes, r) * (tes.r_l - r) / (tes.r_l + r)
    return joule - conductance(tes, temperature)
