"""Models the bias circuit, from a line's voltage to the current through each sensor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from smurfq.sim.physics.tes import Floats, TesParameters, resistance

# Bisections of the bracket around the current: 60 are enough for the last bit of a double.
_HALVINGS = 60


@dataclass(frozen=True)
class BiasLines:
    """The wiring between the slow DACs and the cold shunts, the same for every bias group."""

    resistance_ohm: float
    high_current_ratio: float

    def current_a(self, bias_v: npt.ArrayLike, high_current: npt.ArrayLike) -> Floats:
        """Return the current (A) of a line at a bias voltage, in high-current mode or not."""
        ratio = np.where(np.asarray(high_current, bool), self.high_current_ratio, 1.0)
        current: Floats = np.asarray(bias_v, np.float64) * ratio / self.resistance_ohm
        return current


def branch_current(tes: TesParameters, bias_a: Floats, r: Floats) -> Floats:
    """Return the current (A) through a sensor of resistance ``r``; the rest of the bias flows through the shunt.

    Irwin and Hilton's circuit: a Thevenin voltage ``I_b R_sh`` behind ``R_L = R_sh + R_p``.
    """
    return bias_a * tes.r_sh / (tes.r_l + r)


def solve_current(tes: TesParameters, temperature: Floats, bias_a: Floats) -> tuple[Floats, Floats]:
    """Return the self-consistent current (A) and resistance (ohm) at a temperature and bias.

    Below the critical current, the resistance does not depend on the current, and one division is enough. Above it,
    ``|I| (R_L + R(T, I))`` grows with ``|I|``, so there is one solution, which is found by bisection.
    """
    r = resistance(tes, temperature)
    current = branch_current(tes, bias_a, r)
    (above,) = np.nonzero(np.abs(current) > tes.i_c)
    if above.size:
        part = tes.take(above)
        low, high = part.i_c.copy(), np.abs(current[above])
        volts = np.abs(bias_a[above]) * part.r_sh
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            too_much = middle * (part.r_l + resistance(part, temperature[above], middle)) > volts
            high = np.where(too_much, middle, high)
            low = np.where(too_much, low, middle)
        found = 0.5 * (low + high)
        current[above] = np.copysign(found, bias_a[above])
        r[above] = resistance(part, temperature[above], found)
    return current, r
