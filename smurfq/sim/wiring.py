"""Defines the wiring of a simulated card, for pysmurf's configuration and for the model.

The model and the configuration files both import it.
"""

from __future__ import annotations

from typing import Final

BIAS_LINE_OHM: Final = 16_400.0
HIGH_CURRENT_RATIO: Final = 6.08  # ratio of the bias currents in high-current and low-current mode
SHUNT_OHM: Final = 400e-6
PA_PER_PHI0: Final = 9e6
COUNTS_PER_PHI0: Final = 65536  # sodetlib: a count is pi/2^15 of phase
FLUX_RAMP_HZ: Final = 4000.0
TURNS_PER_RAMP: Final = 5  # number of phi_0 that the flux ramp of a tuned slot sweeps
