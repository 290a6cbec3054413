"""Models what a slot's sensors read: the FPGA's temperature, the carrier's current, and the timing link's errors.

The card is warmer, and draws more current, with tones and while it streams. The figures are plausible for a carrier in
a cooled crate; they have no source.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from smurfq.core.card import NUM_BANDS
from smurfq.sim import registers as r
from smurfq.sim.faults import Faults
from smurfq.sim.registers import Value

IDLE_C: Final = 45.0
TONES_C: Final = 10.0  # at a full slot's number of tones
STREAM_C: Final = 2.0
OVERHEATED_C: Final = 40.0  # the fault's
IDLE_A: Final = 22.0
TONES_A: Final = 12.0
STREAM_A: Final = 1.0
LINK_ERRORS_HZ: Final = 10.0  # the fault's

_FULL_SLOT: Final = 1700
_DRIFT_C: Final = 0.5
_DRIFT_A: Final = 0.2
_DRIFT_S: Final = 600.0

Reading = Callable[[float], Value]


class Sensors:
    """The sensors of one slot, which are read at a time in seconds since 1970."""

    def __init__(self, held: Callable[[str], Value], faults: Callable[[], Faults], now: float) -> None:
        self._held = held
        self._faults = faults
        self._errors = 0.0
        self._counted_until = now

    def readings(self) -> Mapping[str, Reading]:
        """Return the function that reads each sensor, by register."""
        errors: dict[str, Reading] = dict.fromkeys(r.LINK_ERRORS, self.link_errors)
        return {r.FPGA_TEMPERATURE: self.temperature_c, r.CARRIER_CURRENT: self.current_a, **errors}

    def temperature_c(self, now: float) -> float:
        """Return the FPGA's temperature."""
        warm = IDLE_C + TONES_C * self._tones() + STREAM_C * self._streams() + _DRIFT_C * _drift(now)
        return round(warm + OVERHEATED_C * self._faults().overheated, 2)

    def current_a(self, now: float) -> float:
        """Return the current that the carrier draws."""
        return round(IDLE_A + TONES_A * self._tones() + STREAM_A * self._streams() + _DRIFT_A * _drift(now), 3)

    def link_errors(self, now: float) -> int:
        """Return the errors of the timing link since the start."""
        if self._faults().link_errors:
            self._errors += LINK_ERRORS_HZ * max(0.0, now - self._counted_until)
        self._counted_until = now
        return int(self._errors)

    def _tones(self) -> float:
        """Return the number of tones in units of a full slot's."""
        arrays = (self._held(r.band_register(band, "CryoChannels:amplitudeScaleArray")) for band in range(NUM_BANDS))
        return sum(int(np.count_nonzero(array)) for array in arrays) / _FULL_SLOT

    def _streams(self) -> bool:
        return bool(self._held(r.ENABLE_STREAMING))


def _drift(now: float) -> float:
    return math.sin(2 * math.pi * (now % _DRIFT_S) / _DRIFT_S)
