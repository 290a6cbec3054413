"""Generates a slot's initial tones: those of a setup, or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from smurfq.core.card import NUM_BANDS
from smurfq.sim.detectors import Detectors
from smurfq.sim.physics.resonator import Complex
from smurfq.sim.physics.squid import shift
from smurfq.sim.physics.tes import Floats
from smurfq.sim.physics.tone import Loop
from smurfq.sim.radio.band import BandModel
from smurfq.sim.radio.chain import TONE_POWER, Chain, delays_of
from smurfq.sim.radio.resonators import NO_DETECTOR
from smurfq.sim.radio.settings import BandSettings
from smurfq.sim.registers import CHANNELS_PER_BAND, band_center_mhz, sub_band_mhz
from smurfq.sim.wiring import FLUX_RAMP_HZ

Scans = Mapping[tuple[int, int], tuple[Floats, Complex]]
"""The sweep of each resonator by a setup, by (band, channel): frequencies (MHz) and transmission."""

_ETA_STEP_MHZ: Final = 0.005
_SWEPT_MHZ: Final = np.arange(-0.3, 0.3, 0.002)  # around a resonator, as in pysmurf's setup_notches


@dataclass(frozen=True)
class Tones:
    """Tone powers (0: off), frequencies from the sub-bands' centres in MHz, and eta in MHz, all (8, 512)."""

    power: npt.NDArray[np.int32]
    center_mhz: Floats
    eta: Complex

    def frequency_mhz(self, band: int, channel: int) -> float:
        """Return the frequency of a channel's tone."""
        return band_center_mhz(band) + sub_band_mhz(channel) + float(self.center_mhz[band, channel])


def no_tones() -> Tones:
    """Return the tones of a card that was just powered on."""
    shape = (NUM_BANDS, CHANNELS_PER_BAND)
    return Tones(np.zeros(shape, np.int32), np.zeros(shape), np.zeros(shape, np.complex128))


def tuned(models: Sequence[BandModel], detectors: Detectors) -> Tones:
    """Return the tones of a tuned slot: one on each detector's resonator, at the frequency of a setup."""
    tones = no_tones()
    tones.power[detectors.band, detectors.channel] = TONE_POWER
    still = np.zeros(len(detectors))
    for model in models:
        band, resonators = model.band, model.resonators
        own = np.flatnonzero((resonators.detector != NO_DETECTOR) & (resonators.band == band))
        channel = detectors.channel[resonators.detector[own]]
        at = resonators.take(own)
        bottom = at.frequency_mhz + shift(at.phase_rad(still), at.squid_lambda, at.swing_mhz)
        tones.center_mhz[band, channel] = np.round(bottom - model.sub_band_mhz[channel], 6)
        tones.eta[band] = model.eta(_settings(band, tones), still, quiet=True)
    return tones


def scans_of(models: Sequence[BandModel], tones: Tones, detectors: Detectors) -> Scans:
    """Return the sweeps of the resonators with a tone, like those of a setup."""
    found = {}
    for model in models:
        band, center_mhz = model.band, tones.center_mhz[model.band]
        on = np.flatnonzero(tones.power[band])
        offsets = np.zeros((CHANNELS_PER_BAND, _SWEPT_MHZ.size))
        offsets[on] = center_mhz[on, None] + _SWEPT_MHZ
        swept = model.sweep(offsets, TONE_POWER, _settings(band, tones), np.zeros(len(detectors)))
        for channel in on.tolist():
            found[band, channel] = (model.sub_band_mhz[channel] + offsets[channel], swept[channel])
    return found


def _settings(band: int, tones: Tones) -> BandSettings:
    return BandSettings(
        power=tones.power[band].astype(np.int64),
        center_mhz=tones.center_mhz[band],
        feedback=tones.power[band] > 0,
        eta=tones.eta[band],
        chain=Chain(delay_us=delays_of(band).total_us),
        loop=Loop(turns=0.0, cycles=0.0),
        ramp_hz=FLUX_RAMP_HZ,
        eta_step_mhz=_ETA_STEP_MHZ,
    )
