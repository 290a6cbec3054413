"""Determines the detector of each channel in a stream: the one whose resonator its tone tracks, or none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from smurfq.core.card import NUM_BANDS
from smurfq.sim.physics.tes import Floats
from smurfq.sim.radio.band import BandModel
from smurfq.sim.radio.resonators import NO_DETECTOR
from smurfq.sim.radio.settings import BandSettings
from smurfq.sim.registers import CHANNELS_PER_BAND

# A channel that tracks nothing streams the phase of noise. With more noise than this, the analysis of a bias group map
# takes some of them for detectors by chance. A normalized correlation above 0.3 is common in noise, so the analysis
# rejects such channels only if it finds an R0 that is too high for a detector.
_UNLOCKED_NOISE: Final = 8.0


@dataclass(frozen=True)
class Readout:
    """The signals of the channels of a slot; arrays of shape ``(4096,)``, by band * 512 + channel.

    Attributes
    ----------
    detector
        The detector whose current a channel shows; -1: none.
    noise
        The noise relative to a well-set channel; 0 if the tone is off.
    """

    detector: npt.NDArray[np.int64]
    noise: Floats


def band_readout(model: BandModel, settings: BandSettings, turns: Floats) -> Readout:
    """Return the readout of one band's channels, ``(512,)``."""
    resonator, detector = model.locked(settings, turns)
    noise = np.array([settings.chain.noise_factor(power) for power in range(16)])[settings.power]
    noise[settings.power == 0] = 0.0
    stray = (settings.power > 0) & settings.feedback & (resonator < 0)
    noise[stray] = _UNLOCKED_NOISE
    return Readout(detector, noise)


def dark() -> Readout:
    """Return the readout of a slot without tones."""
    n = NUM_BANDS * CHANNELS_PER_BAND
    return Readout(np.full(n, NO_DETECTOR), np.zeros(n))


def joined(bands: list[Readout]) -> Readout:
    """Combine the readouts of all bands."""
    return Readout(np.concatenate([one.detector for one in bands]), np.concatenate([one.noise for one in bands]))
