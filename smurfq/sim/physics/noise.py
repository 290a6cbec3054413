"""Generates noise: slow drifts with a 1/f spectrum, and white noise after a filter and decimation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from smurfq.sim.physics.tes import Floats

Floats32 = npt.NDArray[np.float32]

# One relaxation for each decade gives a spectrum that differs from 1/f by at most a tenth.
RELAXATION_TIMES_S = np.array([200.0, 20.0, 2.0])
_RATIO = 10.0
_SPECTRUM_SIZE = 4096
_NEGLIGIBLE = 1e-4  # relative to the largest tap


def relaxation_amplitude(white: Floats | float, knee_hz: Floats | float) -> Floats:
    """Return the rms of each relaxation, such that their sum equals a white level (unit/sqrt(Hz)) at the knee.

    A relaxation of time tau and variance s^2 has the one-sided spectrum ``4 s^2 tau/(1 + (2 pi f tau)^2)``. Summed
    over times that are a factor r apart this tends to ``s^2/(f ln r)`` (A. van der Ziel, *Physica* 16 (1950) 359),
    which is ``white^2 knee/f`` for ``s^2 = white^2 knee ln r``.
    """
    rms: Floats = np.asarray(white) * np.sqrt(np.asarray(knee_hz) * np.log(_RATIO))
    return rms


class Drift:
    """A 1/f drift of ``n`` sources over time, computed at equidistant knots and interpolated linearly.

    Times only increase. The spectrum follows 1/f between the reciprocals of the longest and the shortest relaxation,
    and falls faster above, where white noise hides it.
    """

    def __init__(self, amplitude: Floats, rng: np.random.Generator, *, knot_s: float = 0.1) -> None:
        self._amplitude = np.atleast_1d(amplitude)[:, None]
        self._rng = rng
        self._knot_s = knot_s
        self._kept = np.exp(-knot_s / RELAXATION_TIMES_S)
        self._states = self._amplitude * self._draw()
        self._knot: int | None = None  # the last of the knots known
        self._before = self._after = self._states.sum(axis=1)

    def knots(self, times_s: Floats) -> tuple[Floats, Floats]:
        """Return knot values, ``(n, n_knots)``, and weights, ``(n_knots, n_times)``, whose product is the drift.

        The product is left to the caller, who can add other slow terms to it.
        """
        position = times_s / self._knot_s
        first, last = int(np.floor(position[0])), int(np.floor(position[-1])) + 1
        if self._knot is None or first > self._knot:
            self._knot = first  # after a gap, a stationary process may start anywhere
            self._before = self._after
        values = [self._before, self._after] if first < self._knot else [self._after]
        values += [self._advance() for _ in range(self._knot, last)]
        self._knot = max(self._knot, last)
        weights = np.maximum(0.0, 1.0 - np.abs(position - np.arange(first, last + 1)[:, None]))
        return np.stack(values, axis=1), weights

    def _advance(self) -> Floats:
        fresh = np.sqrt(1.0 - self._kept**2) * self._draw()
        self._states = self._kept * self._states + self._amplitude * fresh
        total: Floats = self._states.sum(axis=1)
        self._before, self._after = self._after, total
        return total

    def _draw(self) -> Floats:
        return self._rng.standard_normal((self._amplitude.shape[0], RELAXATION_TIMES_S.size))


def decimated_noise_taps(b: npt.ArrayLike, a: npt.ArrayLike, factor: int) -> Floats:
    """Return a filter at the output rate that shapes white noise as filter and decimation would.

    A minimum-phase filter, computed from the logarithm of the spectrum, gives the spectrum after filter and decimation
    (A. V. Oppenheim and R. W. Schafer, *Discrete-Time Signal Processing*, chapter on the cepstrum). So noise is drawn
    for each sample that is kept, and not for each frame.

    Parameters
    ----------
    b, a
        The filter that runs for each frame.
    factor
        The number of frames for each sample.
    """
    size = _SPECTRUM_SIZE * factor
    power = np.abs(np.fft.fft(np.atleast_1d(b), size) / np.fft.fft(np.atleast_1d(a), size)) ** 2
    folded = power.reshape(factor, _SPECTRUM_SIZE).mean(axis=0)
    cepstrum = np.fft.ifft(0.5 * np.log(folded)).real
    cepstrum[1 : _SPECTRUM_SIZE // 2] *= 2.0
    cepstrum[_SPECTRUM_SIZE // 2 + 1 :] = 0.0
    taps = np.fft.ifft(np.exp(np.fft.fft(cepstrum))).real
    (audible,) = np.nonzero(np.abs(taps) > _NEGLIGIBLE * np.abs(taps).max())
    kept: Floats = taps[: audible[-1] + 1]
    return kept
