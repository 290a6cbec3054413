"""Models the signal chain between the card and the resonators of a band: attenuators, cables, amplifiers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from smurfq.sim.physics.resonator import Complex
from smurfq.sim.physics.tes import Floats

TONE_POWER: Final = 12
ATTENUATION: Final = 15  # half decibels, up and down: the result of a setup

_GAIN: Final = 1.2  # fraction of the card's full scale, without attenuation, at the usual tone power
_LSB_DB: Final = 0.5
_TONE_STEP_DB: Final = 3.0
_PHASE_RAD: Final = 0.7
# The HEMT's noise in a point of a sweep, as a fraction of the usual tone behind the usual attenuation. A frame of the
# readout averages over a much shorter time than a point of a sweep.
_NOISE: Final = 3e-4
_FRAMES_IN_A_POINT: Final = 1000.0
_CARD_NOISE: Final = 1e-5  # fraction of full scale
_RAW_GAIN: Final = 3.0  # from DAC to ADC, in raw captures
_RAW_PHASE_RAD: Final = 0.3


@dataclass(frozen=True)
class Delays:
    """The delays of a band, in microseconds: of the whole signal path, and of the cables alone."""

    total_us: float
    cable_us: float


def delays_of(band: int) -> Delays:
    """Return the delays of a band."""
    return Delays(total_us=2.46 + 0.03 * band, cable_us=0.042 + 0.002 * band)


@dataclass(frozen=True)
class Chain:
    """The settings of a band's signal chain.

    Attributes
    ----------
    up, down
        Attenuation before and after the resonators, in half decibels (0 to 31).
    amplifier_loss_db
        The missing gain of the chain's amplifiers; 0 if they are biased well.
    delay_us
        The delay that the card compensates.
    """

    up: int = ATTENUATION
    down: int = ATTENUATION
    amplifier_loss_db: float = 0.0
    delay_us: float = 0.0

    def gain(self, tone_power: float) -> float:
        """Return the transmission without resonators, as a fraction of full scale."""
        if tone_power <= 0:
            return 0.0
        loss_db = (self.up + self.down) * _LSB_DB + self.amplifier_loss_db
        return _GAIN * _factor(-loss_db + (tone_power - TONE_POWER) * _TONE_STEP_DB)

    def noise(self) -> float:
        """Return the noise of each quadrature in a point of a sweep, as a fraction of full scale."""
        hemt = _NOISE * Chain().gain(TONE_POWER) * _factor((ATTENUATION - self.down) * _LSB_DB)
        return float(np.hypot(hemt * _factor(-self.amplifier_loss_db), _CARD_NOISE))

    def frame_noise(self) -> float:
        """Return the noise of each quadrature in a frame of the readout."""
        return self.noise() * float(np.sqrt(_FRAMES_IN_A_POINT))

    def noise_factor(self, tone_power: float) -> float:
        """Return the noise of a tone relative to the usual tone and attenuation."""
        usual = Chain().noise() / Chain().gain(TONE_POWER)
        return self.noise() / max(self.gain(tone_power), 1e-12) / usual

    def turned(self, from_center_mhz: Floats, delays: Delays) -> Complex:
        """Return the phase that the chain adds to a tone, as a factor."""
        angle = _PHASE_RAD + self.slope_rad_per_mhz(delays) * np.asarray(from_center_mhz)
        turned: Complex = np.exp(1j * angle)
        return turned

    def slope_rad_per_mhz(self, delays: Delays) -> float:
        """Return the slope of that phase."""
        return -2.0 * np.pi * (delays.total_us - self.delay_us)

    def raw(self, from_center_mhz: Floats, delays: Delays) -> Complex:
        """Return the gain from the DAC's output to the ADC's input, by frequency, without resonators."""
        loss_db = (self.up + self.down) * _LSB_DB + self.amplifier_loss_db
        angle = _RAW_PHASE_RAD - 2.0 * np.pi * np.asarray(from_center_mhz) * delays.cable_us
        passed: Complex = _RAW_GAIN * _factor(-loss_db) * np.exp(1j * angle)
        return passed


def _factor(gain_db: float) -> float:
    """Convert a gain to a factor of amplitude."""
    return float(10.0 ** (gain_db / 20.0))
