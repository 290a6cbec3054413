"""Computes a sensor's operating point at a bias, and its response to small changes there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smurfq.sim.physics.tes import (
    Floats,
    TesParameters,
    bath_power,
    conductance,
    resistance,
    resistance_slope,
    temperature_at,
)

_HALVINGS = 60
_HOTTEST_K = 5.0


@dataclass(frozen=True)
class OperatingPoint:
    """A sensor at rest: arrays of shape ``(n_detectors,)``, NaN if a sensor has no such point."""

    temperature: Floats
    r: Floats
    current: Floats
    bias_a: Floats

    @property
    def power(self) -> Floats:
        """Return the Joule power in the sensor, ``I^2 R`` (W)."""
        return self.current**2 * self.r


def at_resistance(tes: TesParameters, r: Floats) -> OperatingPoint:
    """Return the operating point at which a sensor in its transition has resistance ``r``, in closed form.

    The transition gives the temperature, the balance of heat the current, the circuit the bias. NaN where the optical
    power alone already holds the sensor above that temperature.
    """
    temperature = temperature_at(tes, r)
    return _balanced(tes, temperature, r)


def at_bias(tes: TesParameters, bias_a: Floats | float) -> OperatingPoint:
    """Return the operating point in the transition or above it at a bias; NaN if the sensor latches.

    On the voltage-biased branch (R > R_L), the required bias grows with temperature, so it is found by bisection.
    """
    bias = np.broadcast_to(np.asarray(bias_a, np.float64), tes.r_n.shape)
    threshold = latching_point(tes)
    low, high = threshold.temperature, np.full_like(bias, _HOTTEST_K)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        needs_more = _balanced(tes, middle, resistance(tes, middle)).bias_a > np.abs(bias)
        high = np.where(needs_more, middle, high)
        low = np.where(needs_more, low, middle)
    temperature = np.where(np.abs(bias) >= threshold.bias_a, 0.5 * (low + high), np.nan)
    point = _balanced(tes, temperature, resistance(tes, temperature))
    return OperatingPoint(temperature, point.r, np.copysign(point.current, bias), np.copysign(point.bias_a, bias))


def latching_point(tes: TesParameters) -> OperatingPoint:
    """Return the last stable point, at R = R_L. At a lower bias, the sensor becomes superconducting.

    The increase of the heat flow with temperature is neglected, which is correct for a sharp transition: there, the
    feedback of Irwin and Hilton changes its sign with R - R_L.
    """
    return at_resistance(tes, tes.r_l)


def loop_gain(tes: TesParameters, point: OperatingPoint) -> Floats:
    """Return the loop gain of the electrothermal feedback, ``I^2 (dR/dT)/G``: Irwin and Hilton's L_I."""
    return point.current**2 * resistance_slope(tes, point.r) / conductance(tes, point.temperature)


def effective_time_constant(tes: TesParameters, point: OperatingPoint) -> Floats:
    """Return the time (s) in which a sensor settles after a small step, for beta = 0 and no inductance.

    Irwin and Hilton's tau_eff: ``tau (1 + R_L/R)/(1 + R_L/R + (1 - R_L/R) L)`` with ``tau = C/G``.
    """
    load = tes.r_l / point.r
    natural = tes.c / conductance(tes, point.temperature)
    return natural * (1 + load) / (1 + load + (1 - load) * loop_gain(tes, point))


def responsivity(tes: TesParameters, point: OperatingPoint) -> Floats:
    """Return the change of the current with absorbed power, slow limit (A/W); 0 without current or in a runaway.

    Irwin and Hilton's s_I at omega = 0 and beta = 0, multiplied out so that a superconducting sensor gives 0.
    """
    gain = loop_gain(tes, point)
    stiffness = tes.r_l + point.r + (point.r - tes.r_l) * gain
    usable = (point.current != 0) & (stiffness > 0)
    safe = np.where(usable, point.current * stiffness, 1.0)
    return np.where(usable, -gain / safe, 0.0)


def _balanced(tes: TesParameters, temperature: Floats, r: Floats) -> OperatingPoint:
    joule = bath_power(tes, temperature) - tes.p_opt
    current = np.sqrt(np.where(joule >= 0, joule, np.nan) / r)
    return OperatingPoint(temperature, r, current, current * (tes.r_l + r) / tes.r_sh)
