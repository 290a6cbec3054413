"""Simulates raw captures: the output of a band's DACs, and its ADC's input behind the resonators."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from smurfq.sim.physics.resonator import Complex, transmission
from smurfq.sim.physics.tes import Floats
from smurfq.sim.radio.band import BandModel
from smurfq.sim.radio.chain import TONE_POWER
from smurfq.sim.radio.settings import BandSettings

SAMPLES_PER_US: Final = 614.4
FULL_SCALE: Final = 2**15 - 1
_NOISE_COUNTS: Final = 6000.0  # rms of the noise that is played
_TONE_COUNTS: Final = 200.0  # amplitude of one tone of the usual power
_TONE_STEP_DB: Final = 3.0
_ADC_COUNTS: Final = 5.0  # rms of the ADC's own noise
_BAND_MHZ: Final = 260.0  # cutoff of the filters


def played(model: BandModel, settings: BandSettings, n_samples: int, *, noise: bool) -> Complex:
    """Return the DAC's output in counts: noise with a flat spectrum, the same each time, or the tones that are on."""
    spectrum = np.zeros(n_samples, np.complex128)
    if noise:
        spectrum += np.exp(2j * np.pi * np.random.default_rng(7).random(n_samples))
        spectrum *= _NOISE_COUNTS * np.sqrt(n_samples)
    else:
        on = settings.on
        f = model.sub_band_mhz[on] + settings.center_mhz[on] - model.center_mhz
        counts = _TONE_COUNTS * 10.0 ** ((settings.power[on] - TONE_POWER) * _TONE_STEP_DB / 20.0)
        bins = np.rint(f / SAMPLES_PER_US * n_samples).astype(np.int64) % n_samples
        np.add.at(spectrum, bins, counts * n_samples * np.exp(2j * np.pi * on * 0.618))
    wave: Complex = np.fft.ifft(spectrum)
    return wave


def heard(model: BandModel, settings: BandSettings, turns: Floats, wave: Complex) -> Complex:
    """Return the ADC's samples while ``wave`` is played, in counts."""
    f = np.fft.fftfreq(wave.size, 1.0 / SAMPLES_PER_US)
    inside = np.abs(f) < _BAND_MHZ
    passed = np.zeros(wave.size, np.complex128)
    passed[inside] = settings.chain.raw(f[inside], model.delays)
    passed[inside] *= transmission(model.center_mhz + f[inside], model.notches(turns))
    rng = np.random.default_rng()
    own = rng.standard_normal(wave.size) + 1j * rng.standard_normal(wave.size)
    read: Complex = np.fft.ifft(np.fft.fft(wave) * passed) + _ADC_COUNTS * own
    return read


def counts(wave: Complex) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Convert in-phase and quadrature to a converter's whole counts, within its range."""
    parts = [np.rint(np.clip(part, -FULL_SCALE, FULL_SCALE)).astype(np.int32) for part in (wave.real, wave.imag)]
    return parts[0], parts[1]
