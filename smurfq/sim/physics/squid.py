"""Models the SQUID that loads a resonator: the shift of the resonance by flux and by the flux ramp.

A dissipationless rf SQUID is an inductance that varies with flux, so the resonance moves as
``lambda cos(phi)/(1 + lambda cos(phi))`` (J. A. B. Mates et al., *Appl. Phys. Lett.* 92 (2008) 023514; flux-ramp
modulation: *J. Low Temp. Phys.* 167 (2012) 707). Lambda, below 1, is the SQUID's inductance over that of its junction.
"""

from __future__ import annotations

import numpy as np

from smurfq.sim.physics.tes import Floats

TWO_PI = 2.0 * np.pi


def shift(phase: Floats, squid_lambda: Floats, swing: Floats) -> Floats:
    """Return the shift of a resonance by flux, from the middle of its range.

    Parameters
    ----------
    phase
        ``2 pi`` times the flux in units of Phi_0 (rad).
    squid_lambda
        Lambda.
    swing
        The range, peak to peak, in the unit of the result.
    """
    bent = squid_lambda * np.cos(phase)
    moved = bent / (1.0 + bent)
    high, low = squid_lambda / (1.0 + squid_lambda), -squid_lambda / (1.0 - squid_lambda)
    centred: Floats = swing * (moved - 0.5 * (high + low)) / (high - low)
    return centred


def ramp_phase(position: Floats, turns: float) -> Floats:
    """Return the phase (rad) that a ramp of ``turns`` Phi_0 adds at a position (0 to 1) in it."""
    phase: Floats = TWO_PI * turns * np.asarray(position)
    return phase
