"""Models the transition-edge sensor: its resistance, and the heat that flows to its bath.

This module has the parameters of an array of sensors, and the quantities that depend only on temperature and current.
``circuit`` models the bias line, and ``dynamics`` the changes over time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TesParameters:
    """Parameters of an array of sensors; each array has the shape ``(n_detectors,)``.

    Attributes
    ----------
    r_n, r_p
        Normal resistance of the sensor, and the parasitic resistance in series, which is not heated (ohm).
    t_c, width
        Middle and width of the superconducting transition (K).
    i_c, i_width
        Current above which the sensor leaves superconductivity, and the width of that step (A).
    k, exponent, t_b
        Heat flow to the bath is ``k * (T**exponent - t_b**exponent)`` (W/K^n, 1, K).
    c
        Heat capacity (J/K).
    p_opt
        Optical power absorbed (W).
    r_sh
        Shunt resistance (ohm).
    """

    r_n: Floats
    r_p: Floats
    t_c: Floats
    width: Floats
    i_c: Floats
    i_width: Floats
    k: Floats
    c: Floats
    p_opt: Floats
    r_sh: float
    exponent: float
    t_b: float

    @property
    def r_l(self) -> Floats:
        """Return the load resistance of the Thevenin circuit: shunt and parasitic in series (ohm)."""
        return self.r_sh + self.r_p

    def take(self, index: npt.NDArray[np.intp]) -> TesParameters:
        """Return the parameters of the sensors that ``index`` selects."""
        arrays: dict[str, Any] = {
            name: value[index] for name, value in vars(self).items() if isinstance(value, np.ndarray)
        }
        return replace(self, **arrays)


def resistance(tes: TesParameters, temperature: Floats, current: Floats | None = None) -> Floats:
    """Return the sensor's resistance (ohm) at a temperature (K) and current (A; if not given, below I_c).

    ``R = R_n/2 (1 + tanh x)`` with ``x = (T - T_c)/w``, raised by ``(|I| - I_c)/w_I`` above the critical current.
    Irwin and Hilton require only that R(T, I) is smooth. The hyperbolic tangent is the usual choice.
    """
    return 0.5 * tes.r_n * (1.0 + np.tanh(transition_depth(tes, temperature, current)))


def transition_depth(tes: TesParameters, temperature: Floats, current: Floats | None = None) -> Floats:
    """Return a sensor's position in the transition, in widths from its middle (1)."""
    depth = (temperature - tes.t_c) / tes.width
    if current is not None:
        depth += np.maximum(np.abs(current) - tes.i_c, 0.0) / tes.i_width
    return depth


def resistance_slope(tes: TesParameters, r: Floats) -> Floats:
    """Return the slope dR/dT at constant current (ohm/K) of a sensor with resistance ``r``."""
    slope: Floats = 2.0 * r * (tes.r_n - r) / (tes.r_n * tes.width)
    return slope


def temperature_at(tes: TesParameters, r: Floats) -> Floats:
    """Return the temperature (K) at which a sensor below its critical current has resistance ``r``, 0 < r < R_n."""
    temperature: Floats = tes.t_c + tes.width * np.arctanh(2.0 * r / tes.r_n - 1.0)
    return temperature


def bath_power(tes: TesParameters, temperature: Floats) -> Floats:
    """Return the heat that flows from the sensors to the bath (W)."""
    # T^(n-1) T and not T^n: with n = 3 the square is many times faster than a power.
    power: Floats = tes.k * (temperature ** (tes.exponent - 1.0) * temperature - tes.t_b**tes.exponent)
    return power


def conductance(tes: TesParameters, temperature: Floats) -> Floats:
    """Return the slope G of the heat flow to the bath (W/K)."""
    slope: Floats = tes.exponent * tes.k * temperature ** (tes.exponent - 1.0)
    return slope
