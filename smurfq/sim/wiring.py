"""Defines the wiring of a simulated card, for pysmurf's configuration and for the model.

The model and the configuration files both import it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from smurfq.core.card import PROCESSED_CHANNELS
from smurfq.core.card_wiring import Wiring, parse_wiring, usual_wiring

BIAS_LINE_OHM: Final = 16_400.0
HIGH_CURRENT_RATIO: Final = 6.08  # ratio of the bias currents in high-current and low-current mode
SHUNT_OHM: Final = 400e-6
PA_PER_PHI0: Final = 9e6
COUNTS_PER_PHI0: Final = 65536  # sodetlib: a count is pi/2^15 of phase
FLUX_RAMP_HZ: Final = 4000.0
TURNS_PER_RAMP: Final = 5  # number of phi_0 that the flux ramp of a tuned slot sweeps

BANDS_PER_BAY: Final = 4
NUM_BAYS: Final = 2
FIRMWARE: Final = (4, 1, 2)  # of a C04 cryocard, with four amplifiers


@dataclass(frozen=True)
class Shape:
    """The shape of a simulated card: wiring, bias lines, and the firmware's version of its cryocard."""

    wiring: Wiring = field(default_factory=lambda: usual_wiring(""))
    line_ohm: float = BIAS_LINE_OHM
    high_current_ratio: float = HIGH_CURRENT_RATIO
    firmware: tuple[int, int, int] = FIRMWARE

    @property
    def bays(self) -> list[int]:
        """Return the bays with a card, each with four bands."""
        return sorted({band // BANDS_PER_BAY for band in self.wiring.bands})

    @property
    def num_groups(self) -> int:
        """Return the number of bias groups."""
        return len(self.wiring.pairs)

    @property
    def most_detectors(self) -> int:
        """Return the number of detectors that the card can read."""
        return len(self.wiring.bands) * PROCESSED_CHANNELS

    def has_register(self, name: str) -> bool:
        """Return whether the card has a register; those of a bay without a card do not answer."""
        absent = [bay for bay in range(NUM_BAYS) if bay not in self.bays]
        return not any(part in name for bay in absent for part in _parts_of_bay(bay))


def parse_shape(table: Mapping[str, Any], firmware: tuple[int, int, int] = FIRMWARE) -> Shape:
    """Return the shape of the card that a pysmurf configuration describes.

    Raises
    ------
    ValueError
        The table lacks a part of the wiring, or has a wrong one.
    """
    try:
        numbers = float(table["bias_line_resistance"]), float(table["high_low_current_ratio"])
    except (KeyError, TypeError) as cause:
        raise ValueError(f"bias_line_resistance and high_low_current_ratio must be numbers ({cause})") from cause
    return Shape(parse_wiring(table), *numbers, firmware)


def _parts_of_bay(bay: int) -> list[str]:
    bands = range(bay * BANDS_PER_BAY, (bay + 1) * BANDS_PER_BAY)
    return [f"MicrowaveMuxCore[{bay}]:", f"AppTopJesd[{bay}]:", *(f"SysgenCryo:Base[{band}]:" for band in bands)]
