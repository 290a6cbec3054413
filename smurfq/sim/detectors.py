"""Generates a simulated slot's detectors from a seed, and the true values to compare results with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from smurfq.core.card import NUM_BANDS, NUM_BIAS_GROUPS, PROCESSED_CHANNELS
from smurfq.sim.physics.operating_point import at_resistance
from smurfq.sim.physics.tes import Floats, TesParameters
from smurfq.sim.wiring import SHUNT_OHM

Ints = npt.NDArray[np.int64]

CHANNELS_PER_BAND: Final = 512
NO_BIAS_GROUP: Final = -1

_P_SAT_W: Final = 4e-12
_NATURAL_TIME_CONSTANT_S: Final = 0.040
_WHITE_NOISE_A: Final = 65e-12
_KNEE_HZ: Final = 0.05
_FRACTION_UNASSIGNED: Final = 0.03
_FRACTION_DEAD: Final = 0.03
_CHIPS_PER_BAND: Final = 4
_CHIP_MARGIN_SUB_BANDS: Final = 5  # free sub-bands on each side of a chip
_SCATTER: Final = 0.25  # relative to the distance between two resonators


@dataclass(frozen=True)
class Detectors:
    """Every resonator of a slot that has a tone, in order of band and channel; arrays of shape ``(n,)``.

    Attributes
    ----------
    band, channel
        The band and channel that read the resonator.
    bias_group
        The bias group of its sensor; -1 if the resonator has no sensor.
    alive
        Whether its sensor conducts; a dead sensor is an open circuit.
    polarity
        +1 or -1, the sign of the phase that a positive current gives.
    phase_offset
        The phase without current, in turns of phi_0.
    white_noise, knee_hz
        Readout noise: white level (A/sqrt(Hz)), and the frequency at which the 1/f part equals it.
    tes
        The sensors.
    """

    band: Ints
    channel: Ints
    bias_group: Ints
    alive: npt.NDArray[np.bool_]
    polarity: Ints
    phase_offset: Floats
    white_noise: Floats
    knee_hz: Floats
    tes: TesParameters

    def __len__(self) -> int:
        return self.band.size

    @property
    def absolute_channel(self) -> Ints:
        """Return the channel number in the stream's mask: band * 512 + channel."""
        return self.band * CHANNELS_PER_BAND + self.channel

    @property
    def responsive(self) -> npt.NDArray[np.bool_]:
        """Return whether a bias line drives a current through the detector."""
        wired: npt.NDArray[np.bool_] = self.bias_group != NO_BIAS_GROUP
        return self.alive & wired


def population(
    seed: int, n: int = 1700, bands: Sequence[int] = range(NUM_BANDS), num_groups: int = NUM_BIAS_GROUPS
) -> Detectors:
    """Return a slot's detectors, distributed over bands and bias groups; the same ``seed`` gives the same detectors.

    The numbers are those of a Simons Observatory UXM in order of magnitude. ``n`` is at most 416 for each band.

    Raises
    ------
    ValueError
        ``n`` is below 1, or more than a slot can read out.
    """
    most = len(bands) * PROCESSED_CHANNELS
    if not 1 <= n <= most:
        raise ValueError(f"a slot has from 1 to {most} detectors; got {n}")
    rng = np.random.default_rng(seed)
    absolute = _channels(n, seed, bands)
    bias_group = rng.permutation(np.arange(n) % num_groups)
    bias_group[rng.random(n) < _FRACTION_UNASSIGNED] = NO_BIAS_GROUP
    return Detectors(
        band=absolute // CHANNELS_PER_BAND,
        channel=absolute % CHANNELS_PER_BAND,
        bias_group=bias_group,
        alive=rng.random(n) >= _FRACTION_DEAD,
        polarity=rng.choice(np.array([-1, 1]), n),
        phase_offset=rng.uniform(-0.5, 0.5, n),
        white_noise=_WHITE_NOISE_A * rng.lognormal(0.0, 0.1, n),
        knee_hz=_KNEE_HZ * rng.lognormal(0.0, 0.2, n),
        tes=_sensors(n, rng),
    )


def truth(detectors: Detectors) -> dict[str, npt.NDArray[Any]]:
    """Return the values that an analysis of this slot should find, by name; NaN if it should find none.

    ``R_n``, ``R_L`` and ``p_sat`` have the definitions of sodetlib's IV: its resistance includes the parasitic one, R_L
    is only the parasitic one, and p_sat is the power at which the resistance is 0.9 R_n.
    """
    tes = detectors.tes
    seen_normal = tes.r_n + tes.r_p
    point = at_resistance(tes, 0.9 * seen_normal - tes.r_p)
    blind = ~detectors.responsive
    return {
        "band": detectors.band,
        "channel": detectors.channel,
        "bias_group": detectors.bias_group,
        "alive": detectors.alive,
        "responsive": detectors.responsive,
        "polarity": detectors.polarity,
        "R_n": np.where(blind, np.nan, seen_normal),
        "R_L": np.where(blind, np.nan, tes.r_p),
        "p_sat": np.where(blind, np.nan, point.current**2 * 0.9 * seen_normal),
        "white_noise_pa": detectors.white_noise * 1e12,
        "knee_hz": detectors.knee_hz,
        "T_c": tes.t_c,
        "width": tes.width,
        "k": tes.k,
        "C": tes.c,
        "P_opt": tes.p_opt,
        "I_c": tes.i_c,
    }


def write_truth(detectors: Detectors, folder: Path, seed: int) -> tuple[Path, Path]:
    """Write ``truth.npz`` with the arrays of ``truth`` and ``truth.json`` with the common values; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays, shared = folder / "truth.npz", folder / "truth.json"
    np.savez(arrays, allow_pickle=False, **truth(detectors))
    tes = detectors.tes
    about = {
        "seed": seed,
        "detectors": len(detectors),
        "responsive": int(detectors.responsive.sum()),
        "detectors_per_bias_group": np.bincount(
            detectors.bias_group[detectors.responsive], minlength=NUM_BIAS_GROUPS
        ).tolist(),
        "R_sh": tes.r_sh,
        "T_b": tes.t_b,
        "n": tes.exponent,
    }
    shared.write_text(json.dumps(about, indent=2) + "\n")
    return arrays, shared


def _channels(n: int, seed: int, bands: Sequence[int]) -> Ints:
    """Return absolute channels that SMuRF processes, in rising order, spread over the bands as evenly as possible."""
    rng = np.random.default_rng([seed, 5])
    per_band = np.bincount(np.arange(n) % len(bands), minlength=len(bands))
    chosen = [
        band * CHANNELS_PER_BAND + _comb(count, rng) for band, count in zip(bands, per_band.tolist(), strict=True)
    ]
    return np.sort(np.concatenate(chosen))


def _comb(count: int, rng: np.random.Generator) -> Ints:
    """Return the channels of ``count`` resonators of a band: with scatter, and gaps between chips."""
    usable = channels_on_chips()
    if count > usable.size:
        usable = _by_frequency()
    spacing = usable.size / max(count, 1)
    scatter = min(_SCATTER, 0.5 - 0.5 / spacing)  # keeps two resonators from sharing a sub-band
    teeth = (np.arange(count) + 0.5 + rng.uniform(-scatter, scatter, count)) * spacing
    chosen: Ints = usable[np.clip(teeth.astype(np.int64), 0, usable.size - 1)]
    return chosen


def channels_on_chips() -> Ints:
    """Return the channels of a band whose sub-bands are on a chip, not between two, by rising frequency."""
    channels = _by_frequency()
    chip = channels.size // _CHIPS_PER_BAND
    inside = np.arange(channels.size) % chip
    return channels[(inside >= _CHIP_MARGIN_SUB_BANDS) & (inside < chip - _CHIP_MARGIN_SUB_BANDS)]


def _by_frequency() -> Ints:
    return np.array(sorted(processed_channels().tolist(), key=_sub_band))


def processed_channels() -> Ints:
    """Return the channels of a band that SMuRF processes: the 416 whose sub-bands are nearest the band's centre.

    A channel's sub-band is its number with its nine bits reversed.
    """
    channels = np.arange(CHANNELS_PER_BAND)
    sub_band = np.array([_sub_band(channel) for channel in channels.tolist()])
    edge = (CHANNELS_PER_BAND - PROCESSED_CHANNELS) // 2
    inside = (sub_band >= edge) & (sub_band < CHANNELS_PER_BAND - edge)
    return channels[inside]


def _sub_band(channel: int) -> int:
    return sum((channel >> bit & 1) << (8 - bit) for bit in range(9))


def _sensors(n: int, rng: np.random.Generator) -> TesParameters:
    t_b, exponent = 0.100, 3.0
    t_c = rng.normal(0.165, 0.0005, n)
    p_sat = _P_SAT_W * rng.normal(1.0, 0.05, n)
    k = p_sat / (t_c**exponent - t_b**exponent)
    return TesParameters(
        r_n=rng.normal(7.8e-3, 0.15e-3, n),
        r_p=np.full(n, 0.1e-3),
        t_c=t_c,
        width=np.full(n, 1.5e-3),
        i_c=np.full(n, 1e-3),
        i_width=np.full(n, 50e-6),
        k=k,
        c=_NATURAL_TIME_CONSTANT_S * exponent * k * t_c ** (exponent - 1.0),
        p_opt=np.zeros(n),
        r_sh=SHUNT_OHM,
        exponent=exponent,
        t_b=t_b,
    )
