"""Converts the sensors' currents to the samples of a stream: filters, decimates, adds noise, in counts of the phase.

It keeps the state between stretches of a stream: filter, noise, and the whole turns that were removed.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter

from smurfq.sim.decimation import Decimator, Processing
from smurfq.sim.detectors import Detectors
from smurfq.sim.motion import Currents, Index
from smurfq.sim.physics.noise import Drift, Floats32, decimated_noise_taps, relaxation_amplitude
from smurfq.sim.physics.tes import Floats
from smurfq.sim.radio.readout import Readout
from smurfq.sim.wiring import COUNTS_PER_PHI0, FLUX_RAMP_HZ, PA_PER_PHI0

Counts = npt.NDArray[np.int32]

_COUNTS_PER_AMPERE: Final = COUNTS_PER_PHI0 / (PA_PER_PHI0 * 1e-12)
_WHITE_NOISE_OF_A_BARE_TONE_A: Final = 65e-12
_KNEE_OF_A_BARE_TONE_HZ: Final = 0.05
# Below this, the filtered noise rings for many samples, so that it is faster to draw and filter noise for every frame.
_LEAST_FACTOR_FOR_TAPS: Final = 8


class Sampler:
    """The rows of a stream: channel ``mask[i]`` is row i, with or without a detector.

    ``readout`` has the detector of each channel. Without it, each detector's channel shows its detector.
    """

    def __init__(
        self,
        detectors: Detectors,
        mask: npt.ArrayLike,
        processing: Processing,
        *,
        common: Drift,
        current: Floats,
        rng: np.random.Generator,
        readout: Readout | None = None,
    ) -> None:
        self.mask = np.atleast_1d(np.asarray(mask, np.int64))
        self.processing = processing
        self._rng = rng
        self._common = common
        self._detector = rows_of(detectors, self.mask) if readout is None else readout.detector[self.mask]
        bare = self._detector < 0
        white = np.where(bare, _WHITE_NOISE_OF_A_BARE_TONE_A, detectors.white_noise[self._detector])
        if readout is not None:
            white *= readout.noise[self.mask]
        knee = np.where(bare, _KNEE_OF_A_BARE_TONE_HZ, detectors.knee_hz[self._detector])
        polarity = np.where(bare, 1, detectors.polarity[self._detector])
        self._scale = polarity * _COUNTS_PER_AMPERE
        self._offset = (
            np.where(bare, 0.0, detectors.phase_offset[self._detector]) * COUNTS_PER_PHI0 * processing.gain_at_rest
        )
        self._drift = Drift(relaxation_amplitude(white, knee), rng)
        self._white = _WhiteNoise(white * np.abs(self._scale), processing, rng)
        self._n_detectors = len(detectors)
        self._decimator = Decimator(processing, current)
        self._turns: Counts = np.zeros(self.mask.size, np.int32)
        self._rezero = True

    def reset_filter(self) -> None:
        """Reset the filter to rest at the present currents."""
        self._decimator.rest()

    def rezero(self) -> None:
        """Remove whole turns from each row, so that its next sample is within half a turn of zero."""
        self._rezero = True

    def sample(
        self, first_frame: int, currents: Currents, responsivity: Floats
    ) -> tuple[npt.NDArray[np.int64], Counts]:
        """Return the frames that are kept, ``(n_samples,)``, and their counts, ``(n_rows, n_samples)``."""
        factor = self.processing.factor
        kept = np.arange(-first_frame % factor, currents.n_frames, factor)
        frames = first_frame + kept
        index, filtered = self._decimator.run(currents, kept)
        white = self._white.draw(currents.n_frames, kept)
        if not kept.size:
            return frames, np.empty((self.mask.size, 0), np.int32)
        rows, column = self._rows_with(index)
        steady = self._of_rows(currents.steady) * self.processing.gain_at_rest
        steady[rows] = 0.0
        counts = self._slow(frames / FLUX_RAMP_HZ, steady, self._of_rows(responsivity))
        counts[rows] += (filtered[:, column] * self._scale[rows]).T
        counts += white
        return frames, self._unwrap(np.rint(counts).astype(np.int32))

    def _slow(self, times_s: Floats, steady: Floats, responsivity: Floats) -> Floats32:
        """Return the counts of everything that is linear between the knots: constant currents, 1/f, common mode."""
        gain = self.processing.gain_at_rest
        own, weights = self._drift.knots(times_s)
        common, _ = self._common.knots(times_s)
        slow = self._scale[:, None] * (steady[:, None] + gain * (own + responsivity[:, None] * common))
        product: Floats32 = (slow + self._offset[:, None]).astype(np.float32) @ weights.astype(np.float32)
        return product

    def _unwrap(self, counts: Counts) -> Counts:
        if self._rezero:
            self._turns = (np.rint(counts[:, 0] / COUNTS_PER_PHI0) * COUNTS_PER_PHI0).astype(np.int32)
            self._rezero = False
        counts -= self._turns[:, None]
        return counts

    def _of_rows(self, values: Floats) -> Floats:
        """Return the value of each row's detector; 0 for rows without a detector."""
        return np.where(self._detector >= 0, values[self._detector], 0.0)

    def _rows_with(self, index: Index) -> tuple[Index, Index]:
        """Return the rows that read one of these detectors, and the detector of each."""
        place = np.full(self._n_detectors + 1, -1)
        place[index] = np.arange(index.size)
        of_row = place[self._detector]  # rows without a detector use the last place, which is empty
        (rows,) = np.nonzero(of_row >= 0)
        return rows, of_row[rows]


def rows_of(detectors: Detectors, mask: npt.NDArray[np.int64]) -> Index:
    """Return the detector that each channel of a mask (band * 512 + channel) reads; -1 for none."""
    known = detectors.absolute_channel
    place = np.searchsorted(known, mask).clip(max=known.size - 1)
    return np.where(known[place] == mask, place, -1)


class _WhiteNoise:
    """White noise of a readout after filter and decimation, in counts."""

    def __init__(self, level: Floats, processing: Processing, rng: np.random.Generator) -> None:
        gain = processing.gain if processing.filters else processing.gain_at_rest
        self._rms = (gain * level * np.sqrt(FLUX_RAMP_HZ / 2.0)).astype(np.float32)[:, None]
        self._rng = rng
        self._every_frame = processing.filters and processing.factor < _LEAST_FACTOR_FOR_TAPS
        self._b, self._a = np.asarray(processing.b), np.asarray(processing.a)
        if processing.filters and not self._every_frame:
            self._b = decimated_noise_taps(processing.b, processing.a, processing.factor)
            self._a = np.array([1.0, 0.0])  # with length 1, scipy would use a much slower path
        self._state = np.zeros((level.size, max(self._b.size, self._a.size) - 1), np.float32)

    def draw(self, n_frames: int, kept: Index) -> Floats32:
        """Return the noise of the frames that are kept, ``(n_rows, n_kept)``."""
        n_draws = n_frames if self._every_frame else kept.size
        noise = self._rng.standard_normal((self._rms.size, n_draws), dtype=np.float32)
        noise *= self._rms
        if self._state.shape[1]:
            noise, self._state = lfilter(self._b, self._a, noise, axis=1, zi=self._state)
        found: Floats32 = noise[:, kept] if self._every_frame else noise
        return found
