"""Models a band for the card: sweeps, the search for a resonance's minimum, eta, and the locking of channels.

These are pure functions: they compute the card's readings from the registers' values and the SQUIDs' phases.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from smurfq.sim.physics.resonator import Complex, Notches, notch, transmission
from smurfq.sim.physics.squid import shift
from smurfq.sim.physics.tes import Floats
from smurfq.sim.physics.tone import Tones, winds
from smurfq.sim.radio.chain import delays_of
from smurfq.sim.radio.resonators import BANDS_PER_LINE, NO_DETECTOR, Resonators
from smurfq.sim.radio.settings import BandSettings
from smurfq.sim.registers import CHANNELS_PER_BAND, band_center_mhz, sub_band_mhz

Index = npt.NDArray[np.int64]

NO_RESONATOR: Final = -1
_AROUND_MHZ: Final = 320.0  # resonators at a larger distance from a band's centre have no effect
_NEIGHBOURS: Final = np.arange(-1, 1)  # the resonators whose SQUIDs affect a tone: the next one on each side
_NEIGHBOUR_MHZ: Final = 3.0
_REACH_MHZ: Final = 0.3  # maximum distance of a tone from its resonance
_DESCENT_MHZ: Final = 0.15
_DESCENT_STEP_MHZ: Final = 0.001
_DESCENT_AVERAGES: Final = 16
_LEAST_CARRIER_MHZ: Final = 0.003  # below it, a channel's phase is noise
_FULL_SCALE: Final = 0.999


class BandModel:
    """One band of a slot, its resonators in rising order of frequency."""

    def __init__(self, band: int, resonators: Resonators) -> None:
        self.band = band
        self.center_mhz = band_center_mhz(band)
        self.delays = delays_of(band)
        same_line = resonators.band // BANDS_PER_LINE == band // BANDS_PER_LINE
        near = np.abs(resonators.frequency_mhz - self.center_mhz) < _AROUND_MHZ
        self.members = np.flatnonzero(same_line & near)  # indices of the slot's resonators
        self.resonators = resonators.take(self.members)
        middles = [sub_band_mhz(channel) for channel in range(CHANNELS_PER_BAND)]
        self.sub_band_mhz = self.center_mhz + np.array(middles)

    def notches(self, turns: Floats) -> Notches:
        """Return the notches of the line with the detectors' currents at ``turns`` (phi_0)."""
        return self.resonators.notches(self.resonators.phase_rad(turns))

    def response(
        self, f_mhz: Floats, settings: BandSettings, power: npt.ArrayLike, turns: Floats, noise: float
    ) -> Complex:
        """Return the card's reading at ``f_mhz`` with tones of ``power`` and random ``noise`` in each quadrature."""
        gain = np.vectorize(settings.chain.gain, otypes=[np.float64])(power)
        line = settings.chain.turned(f_mhz - self.center_mhz, self.delays)
        read: Complex = gain * line * transmission(f_mhz, self.notches(turns))
        return read if not noise else read + noise * _draw(np.shape(read))

    def sweep(self, offsets_mhz: Floats, power: float, settings: BandSettings, turns: Floats) -> Complex:
        """Return the response to a sweep of every channel whose row is not all zero; zeros for the others.

        Parameters
        ----------
        offsets_mhz
            Relative to the middle of each channel's sub-band, ``(512, n_steps)``.
        power
            The power of the tones.
        settings
            The settings of the band.
        turns
            The detectors' currents (phi_0).
        """
        found = np.zeros(offsets_mhz.shape, np.complex128)
        rows = np.flatnonzero(offsets_mhz.any(axis=1))
        f = self.sub_band_mhz[rows, None] + offsets_mhz[rows]
        read = self.response(f, settings, power, turns, settings.chain.noise())
        found[rows] = _limited(read)
        return found

    def descended(self, settings: BandSettings, turns: Floats, *, quiet: bool = False) -> Floats:
        """Return ``settings.center_mhz`` with every tone that is on moved to the lowest transmission around it."""
        found = settings.center_mhz.copy()
        on = settings.on
        steps = np.arange(-_DESCENT_MHZ, _DESCENT_MHZ + _DESCENT_STEP_MHZ / 2, _DESCENT_STEP_MHZ)
        f = self.sub_band_mhz[on, None] + found[on, None] + steps
        noise = 0.0 if quiet else settings.chain.noise() / np.sqrt(_DESCENT_AVERAGES)
        size = np.abs(self.response(f, settings, settings.power[on, None], turns, noise))
        lowest = np.argmin(size, axis=1) if on.size else np.zeros(0, np.int64)
        bottom = (lowest > 0) & (lowest < steps.size - 1)  # at an end, there is no minimum
        found[on] += np.where(bottom, steps[lowest], 0.0)
        return found

    def eta(self, settings: BandSettings, turns: Floats, *, quiet: bool = False) -> Complex:
        """Return eta (MHz) of every tone that is on, from the transmission on either side; others are unchanged."""
        found = settings.eta.copy()
        on, step = settings.on, settings.eta_step_mhz
        f = self.sub_band_mhz[on, None] + settings.center_mhz[on, None] + np.array([-step, step])
        noise = 0.0 if quiet else settings.chain.noise()
        read = self.response(f, settings, settings.power[on, None], turns, noise)
        slope = read[:, 1] - read[:, 0]
        found[on] = 2 * step / np.where(slope == 0, 1.0, slope)
        return found

    def tones(self, settings: BandSettings, channels: Index, turns: Floats) -> Tones:
        """Return the tones of these channels, with the resonators around each."""
        f = self.sub_band_mhz[channels] + settings.center_mhz[channels]
        around, found = self._neighbours(f)
        some = self.resonators.take(np.where(found, around, 0)) if len(self.resonators) else None
        power = settings.power[channels]
        line = self.response(f, settings, power, turns, 0.0)
        shape = around.shape
        depth = np.zeros(shape, np.complex128)
        phase, middle, swing, squid_lambda = (np.zeros(shape) for _ in range(4))
        f_r, q = np.ones(shape), np.ones(shape)
        if some is not None:
            depth = np.where(found, some.depth, 0.0)
            phase, middle, swing = some.phase_rad(turns), some.frequency_mhz, some.swing_mhz
            squid_lambda, f_r, q = some.squid_lambda, some.frequency_mhz, some.q
            static = middle + shift(phase, squid_lambda, swing)
            line = line / np.prod(notch(f[:, None], static, q, depth), axis=1)
        return Tones(
            f=f,
            eta=settings.eta[channels],
            line=line,
            follows=settings.feedback[channels],
            f_r=f_r,
            q=q,
            depth=depth,
            squid_lambda=squid_lambda,
            swing=swing,
            phase=phase,
            slope_rad_per_mhz=settings.chain.slope_rad_per_mhz(self.delays),
        )

    def nearest(self, f_mhz: Floats, turns: Floats) -> Index:
        """Return the resonator nearest to each frequency in the current state of its SQUID; -1: none is near."""
        if not len(self.resonators):
            return np.full(f_mhz.shape, NO_RESONATOR)
        around, found = self._neighbours(f_mhz)
        some = self.resonators.take(around)
        at = some.frequency_mhz + shift(some.phase_rad(turns), some.squid_lambda, some.swing_mhz)
        away = np.where(found, np.abs(at - f_mhz[:, None]), np.inf)
        best = np.argmin(away, axis=1)
        rows = np.arange(f_mhz.size)
        return np.where(away[rows, best] < _REACH_MHZ, self.members[around[rows, best]], NO_RESONATOR)

    def locked(self, settings: BandSettings, turns: Floats) -> tuple[Index, Index]:
        """Return, for each of the 512 channels, the resonator that it tracks and its detector; -1: none."""
        resonator = np.full(CHANNELS_PER_BAND, NO_RESONATOR)
        detector = np.full(CHANNELS_PER_BAND, NO_DETECTOR)
        on = settings.on
        if on.size and len(self.resonators):
            near = self.nearest(self.sub_band_mhz[on] + settings.center_mhz[on], turns)
            follows = winds(self.tones(settings, on, turns), settings.loop, _LEAST_CARRIER_MHZ) & (near != NO_RESONATOR)
            resonator[on[follows]] = near[follows]
            own = np.searchsorted(self.members, near[follows])
            detector[on[follows]] = self.resonators.detector[own]
        return resonator, detector

    def _neighbours(self, f_mhz: Floats) -> tuple[Index, npt.NDArray[np.bool_]]:
        """Return the resonators next to each frequency, ``(n, k)``, and a mask of those near enough to matter."""
        n = len(self.resonators)
        if not n:
            return np.zeros((f_mhz.size, 1), np.int64), np.zeros((f_mhz.size, 1), np.bool_)
        place = np.searchsorted(self.resonators.frequency_mhz, f_mhz)
        around = place[:, None] + _NEIGHBOURS
        inside = (around >= 0) & (around < n)
        around = around.clip(0, n - 1)
        away = np.abs(self.resonators.frequency_mhz[around] - f_mhz[:, None])
        return around, inside & (away < _NEIGHBOUR_MHZ)


def _draw(shape: tuple[int, ...]) -> Complex:
    # Threads of the simulator must not share a random generator, and tests do not compare noise.
    rng = np.random.default_rng()
    drawn: Complex = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    return drawn


def _limited(read: Complex) -> Complex:
    limited: Complex = np.clip(read.real, -_FULL_SCALE, _FULL_SCALE) + 1j * np.clip(
        read.imag, -_FULL_SCALE, _FULL_SCALE
    )
    return limited
