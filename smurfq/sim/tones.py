"""Where a slot's tones stand once it is tuned: every detector has one, in the channel that reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from smurfq.sim.registers import CHANNELS_PER_BAND, NUM_BANDS, band_center_mhz, sub_band_mhz

TONE_POWER: Final = 12
_OFFSET_MHZ: Final = 0.5  # of a sub-band's 1.2


@dataclass(frozen=True)
class Tones:
    """Tone powers (0: off) and frequencies from the sub-bands' centres in MHz, both (8, 512)."""

    power: npt.NDArray[np.int32]
    center_mhz: npt.NDArray[np.float64]

    def frequency_mhz(self, band: int, channel: int) -> float:
        """The frequency of a channel's tone."""
        return band_center_mhz(band) + sub_band_mhz(channel) + float(self.center_mhz[band, channel])


def tones_of(band: npt.ArrayLike, channel: npt.ArrayLike, seed: int) -> Tones:
    """The tones of a tuned slot whose detectors are read in these bands and channels."""
    bands, channels = np.asarray(band, np.int64), np.asarray(channel, np.int64)
    read = bands >= 0
    power = np.zeros((NUM_BANDS, CHANNELS_PER_BAND), np.int32)
    power[bands[read], channels[read]] = TONE_POWER
    offsets = np.random.default_rng([seed, 7]).uniform(-_OFFSET_MHZ, _OFFSET_MHZ, power.shape)
    return Tones(power, np.where(power > 0, np.round(offsets, 6), 0.0))
