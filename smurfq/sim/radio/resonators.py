"""Generates the resonators of a slot, one for each detector and some difficult ones, and writes their true values.

Four chips share a band of 500 MHz, as in the multiplexer of J. A. B. Mates et al.: combs with some scatter, and gaps
between the chips. Their number follows from the number of detectors. All values have the order of magnitude of a Simons
Observatory UXM.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from smurfq.core.card import NUM_BANDS
from smurfq.sim.detectors import Detectors, channels_on_chips
from smurfq.sim.physics.resonator import Complex, Notches, loaded_q
from smurfq.sim.physics.squid import TWO_PI, shift
from smurfq.sim.physics.tes import Floats
from smurfq.sim.registers import CHANNELS_PER_BAND, band_center_mhz, sub_band_mhz, sub_band_of

Ints = npt.NDArray[np.int64]

NO_DETECTOR: Final = -1
BANDS_PER_LINE: Final = 4
# Kinds of resonators, which determine the result of a setup.
GOOD: Final = "good"
DEAD_SQUID: Final = "dead SQUID"  # its frequency does not move with flux: it is found, but does not track
COLLIDES: Final = "collides"  # closer to another one than a setup allows: neither gets a channel
LOSSY: Final = "lossy"  # a wide and shallow notch
OFF_THE_EDGE: Final = "off the edge"  # above the highest band of its line, which no setup searches

_OFFSET_MHZ: Final = 0.35  # maximum distance from the middle of a sub-band of 1.2 MHz
_FRACTION_COLLIDING: Final = 0.02
_FRACTION_LOSSY: Final = 0.015
_FRACTION_OFF_THE_EDGE: Final = 0.01
_EDGE_MHZ: Final = 252.0


@dataclass(frozen=True)
class Resonators:
    """All resonators of a slot, by rising frequency; arrays of shape ``(n,)``.

    Attributes
    ----------
    band
        The resonator's band, or the nearest band.
    frequency_mhz
        The resonance frequency at the middle of its SQUID's range.
    q_i, q_c
        Internal and coupling quality factors.
    mismatch_rad
        The asymmetry of its notch.
    squid_lambda, swing_mhz
        Lambda of its SQUID, and the range of the resonance, peak to peak.
    phase_offset
        The phase of its SQUID without current, in turns of phi_0.
    detector
        The detector of the slot that it reads; -1: none.
    kind
        `GOOD`, or its defect.
    """

    band: Ints
    frequency_mhz: Floats
    q_i: Floats
    q_c: Floats
    mismatch_rad: Floats
    squid_lambda: Floats
    swing_mhz: Floats
    phase_offset: Floats
    detector: Ints
    kind: npt.NDArray[np.str_]

    def __len__(self) -> int:
        return self.band.size

    def take(self, index: Any) -> Resonators:
        """Return the resonators that ``index`` selects."""
        return Resonators(**{name: values[index] for name, values in vars(self).items()})

    @property
    def q(self) -> Floats:
        """Return the loaded quality factors."""
        return loaded_q(self.q_i, self.q_c)

    @property
    def depth(self) -> Complex:
        """Return the depth of each notch, with its asymmetry."""
        taken: Complex = self.q / self.q_c * np.exp(1j * self.mismatch_rad)
        return taken

    def phase_rad(self, turns: Floats) -> Floats:
        """Return the SQUIDs' phases with the detectors' currents at ``turns`` (phi_0, ``(n_detectors,)``)."""
        driven = self.detector != NO_DETECTOR
        own = np.where(driven, turns[self.detector], 0.0) if turns.size else np.zeros_like(self.phase_offset)
        return TWO_PI * (self.phase_offset + own)

    def notches(self, phase_rad: Floats) -> Notches:
        """Return the notches at these phases of the SQUIDs, by rising frequency."""
        f_r = self.frequency_mhz + shift(phase_rad, self.squid_lambda, self.swing_mhz)
        order = np.argsort(f_r)
        return Notches(f_r[order], self.q[order], self.depth[order])


def resonators_of(detectors: Detectors, seed: int) -> Resonators:
    """Return a slot's resonators: one in the sub-band of each detector, and some more; reproducible by ``seed``."""
    rng = np.random.default_rng([seed, 11])
    n = len(detectors)
    band = detectors.band.astype(np.int64)
    middles = np.array([sub_band_mhz(channel) for channel in range(CHANNELS_PER_BAND)])
    centers = np.array([band_center_mhz(number) for number in range(NUM_BANDS)])
    frequency = centers[band] + middles[detectors.channel] + rng.uniform(-_OFFSET_MHZ, _OFFSET_MHZ, n)
    own = _made(band, frequency, rng, detector=np.arange(n))
    own.phase_offset[:] = detectors.phase_offset
    # Either the sensor is dead (an open circuit), or only the SQUID is: in both cases, there is no signal.
    silent = ~detectors.alive & (rng.random(n) < 0.5)
    own.kind[silent] = DEAD_SQUID
    own.swing_mhz[silent] *= 0.01
    parts = [own, *(_extra(number, detectors, rng) for number in range(NUM_BANDS))]
    joined = Resonators(**{name: np.concatenate([vars(part)[name] for part in parts]) for name in vars(own)})
    return joined.take(np.argsort(joined.frequency_mhz, kind="stable"))


def truth(resonators: Resonators, detectors: Detectors) -> dict[str, npt.NDArray[Any]]:
    """Return the correct results of a setup of this slot, by name, for each resonator by rising frequency.

    ``frequency_mhz`` is the frequency of its minimum without bias and flux ramp, as in a setup. ``channel`` is the
    channel that a setup assigns: -1 if the resonator shares its sub-band, collides, or is outside the band.
    ``nearest_mhz`` is the distance of the next resonator.
    """
    bottom = resonators.notches(resonators.phase_rad(np.zeros(len(detectors))))
    at = resonators.frequency_mhz + shift(
        resonators.phase_rad(np.zeros(len(detectors))), resonators.squid_lambda, resonators.swing_mhz
    )
    gaps = np.diff(bottom.f_r, prepend=-np.inf, append=np.inf)
    nearest = np.minimum(gaps[:-1], gaps[1:])[np.searchsorted(bottom.f_r, at)]
    return {
        **vars(resonators),
        "frequency_mhz": at,
        "bandwidth_mhz": resonators.frequency_mhz / resonators.q,
        "notch_depth": np.abs(resonators.depth),
        "nearest_mhz": nearest,
        "channel": _channels(resonators, at),
    }


def write_truth(resonators: Resonators, detectors: Detectors, folder: Path) -> Path:
    """Write ``resonators.npz`` with the arrays of `truth`; return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "resonators.npz"
    np.savez(path, allow_pickle=False, **truth(resonators, detectors))
    return path


def _made(band: Ints, frequency_mhz: Floats, rng: np.random.Generator, detector: Ints | None = None) -> Resonators:
    n = band.size
    return Resonators(
        band=band,
        frequency_mhz=frequency_mhz,
        q_i=rng.uniform(1.0e5, 3.0e5, n),
        q_c=rng.uniform(4.0e4, 6.0e4, n),
        mismatch_rad=rng.normal(0.0, 0.05, n),
        squid_lambda=rng.uniform(0.25, 0.40, n),
        swing_mhz=rng.uniform(0.070, 0.110, n),
        phase_offset=rng.uniform(-0.5, 0.5, n),
        detector=np.full(n, NO_DETECTOR) if detector is None else detector,
        kind=np.full(n, GOOD, dtype="<U12"),
    )


def _extra(band: int, detectors: Detectors, rng: np.random.Generator) -> Resonators:
    """Return a band's resonators without a detector: colliding pairs, lossy ones, and some beyond the edge."""
    taken = {sub_band_of(channel) for channel in detectors.channel[detectors.band == band].tolist()}
    ends_line = band % BANDS_PER_LINE == BANDS_PER_LINE - 1
    n_pairs, n_lossy, n_off = (
        int(rng.binomial(len(taken), fraction))
        for fraction in (_FRACTION_COLLIDING / 2, _FRACTION_LOSSY, _FRACTION_OFF_THE_EDGE * ends_line)
    )
    on_chips = [sub_band_of(channel) for channel in channels_on_chips().tolist()]
    free = [at for at in on_chips if not taken & {at - 1, at, at + 1}] or [at for at in on_chips if at not in taken]
    chosen = rng.permutation(np.array(free, np.int64))[: n_pairs + n_lossy]
    at = np.array([_sub_band_at_mhz(int(number)) for number in chosen])
    pairs, lossy = at[:n_pairs], at[n_pairs:]
    apart = rng.uniform(0.03, 0.09, pairs.size)
    frequency = np.concatenate([pairs, pairs + apart, lossy, _EDGE_MHZ + rng.uniform(0.0, 8.0, n_off)])
    frequency += band_center_mhz(band)
    found = _made(np.full(frequency.size, band), frequency, rng)
    ends = np.cumsum([2 * pairs.size, lossy.size, n_off])
    found.kind[: ends[0]] = COLLIDES
    found.kind[ends[0] : ends[1]] = LOSSY
    found.kind[ends[1] :] = OFF_THE_EDGE
    found.q_i[ends[0] : ends[1]] = rng.uniform(3e3, 1e4, lossy.size)
    return found


def _sub_band_at_mhz(sub_band: int) -> float:
    return sub_band_mhz(sub_band_of(sub_band))  # the reversal of bits is its own inverse


def _channels(resonators: Resonators, at_mhz: Floats) -> Ints:
    """Return the channel that a setup assigns to each resonator, or -1. Like pysmurf, it assigns the lower first."""
    found = np.full(len(resonators), -1)
    width = _sub_band_at_mhz(1) - _sub_band_at_mhz(0)
    for band in range(NUM_BANDS):
        usable = (resonators.band == band) & (resonators.kind != OFF_THE_EDGE)
        members = np.flatnonzero(usable)
        members = members[np.argsort(at_mhz[members])]
        sub_band = np.rint((at_mhz[members] - band_center_mhz(band) - _sub_band_at_mhz(0)) / width).astype(np.int64)
        seen: set[int] = set()
        for member, number in zip(members.tolist(), sub_band.tolist(), strict=True):
            if number not in seen and resonators.kind[member] != COLLIDES:
                found[member] = sub_band_of(number)
            seen.add(number)
    return found
