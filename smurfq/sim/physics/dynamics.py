"""Advances the sensors by one step of their thermal differential equation."""

from __future__ import annotations

import numpy as np

from smurfq.sim.physics.circuit import solve_current
from smurfq.sim.physics.tes import Floats, TesParameters, bath_power, conductance, resistance, resistance_slope

_LARGEST_GROWTH = 2.0  # of the exponent in one step, so that a runaway ends on the other branch and not at infinity
_HOTTEST_K = 5.0


def step(tes: TesParameters, temperature: Floats, bias_a: Floats, step_s: float) -> tuple[Floats, Floats]:
    """The temperatures (K) one step later, and the currents (A) at the step's beginning.

    ``C dT/dt = I^2 R + P_opt - k (T^n - T_b^n)`` by the exponential Rosenbrock-Euler method (Hochbruck and
    Ostermann, *Acta Numerica* 19 (2010) 209): exact for the linearised equation, of second order for
    this one, and stable however short the time constant. So one step a flux-ramp frame is enough. The inductance is
    left out: its time constant is below a frame.
    """
    current, r = solve_current(tes, temperature, bias_a)
    heat = current * current * r + tes.p_opt - bath_power(tes, temperature)
    exponent = heat_slope(tes, temperature, current, r) * (step_s / tes.c)
    # 1e-12 keeps expm1(z)/z from 0/0 and changes nothing else.
    exponent = np.minimum(exponent, _LARGEST_GROWTH) + 1e-12
    moved = temperature + np.expm1(exponent) / exponent * heat * (step_s / tes.c)
    return _bounded(tes, moved), current


def change_bias(tes: TesParameters, temperature: Floats, old_a: Floats, new_a: Floats, step_s: float) -> Floats:
    """The temperatures (K) after a change of the bias that fell, as changes do on average, half a step ago.

    A step holds the bias that it began with. Without this, the sensors would answer a wave half a step too late.
    Critical currents are left to the steps: they matter to no small change.
    """
    r = resistance(tes, temperature)
    share = tes.r_sh / (tes.r_l + r)
    return _bounded(tes, temperature + 0.5 * step_s / tes.c * r * share * share * (new_a * new_a - old_a * old_a))


def _bounded(tes: TesParameters, temperature: Floats) -> Floats:
    """Limit ``temperature``: a huge overbias would heat a sensor, and its end cool it, without limit."""
    bounded: Floats = np.minimum(np.maximum(temperature, 0.5 * tes.t_b), _HOTTEST_K)
    return bounded


def heat_slope(tes: TesParameters, temperature: Floats, current: Floats, r: Floats) -> Floats:
    """The slope of the net heating with temperature (W/K): negative where electrothermal feedback is stable.

    ``I^2 dR/dT (R_L - R)/(R_L + R) - G``: the Joule power of a sensor that is stiffly voltage biased (R > R_L) falls
    as it warms.
    """
    joule = current * current * resistance_slope(tes, r) * (tes.r_l - r) / (tes.r_l + r)
    return joule - conductance(tes, temperature)
