"""Simulates the debug capture: tracked frequency and frequency error of a band's channels in each frame.

The file has two halves of the same size, little-endian, each with a word for its length, a word for its number, and the
samples. A sample has 24 signed bits (full scale: 1.2 MHz), a bit that is set in the first word of a frame, and one that
is set in all words of a frame in which the flux ramp was reset.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from smurfq.sim.detectors import processed_channels
from smurfq.sim.physics.resonator import Complex
from smurfq.sim.physics.tes import Floats
from smurfq.sim.physics.tone import Loop, error, followed, settle, transmissions
from smurfq.sim.radio.band import BandModel
from smurfq.sim.radio.settings import SUB_BAND_MHZ, BandSettings

Words = npt.NDArray[np.uint32]

FRAME_HZ: Final = 600e3
ONE_CHANNEL_HZ: Final = 2.4e6
_FIRST_POSITION: Final = 0.25  # position in the ramp at which a capture begins
_FRAME_START: Final = np.uint32(1 << 30)
_RAMP_RESET: Final = np.uint32(1 << 31)
_LIMIT: Final = 2**23 - 1


@dataclass(frozen=True)
class Capture:
    """The content of a capture: both halves, ``(n_frames, n_channels)``, relative to full scale; starts of ramps."""

    first: Floats
    second: Floats
    resets: npt.NDArray[np.bool_]


def captured(
    model: BandModel,
    settings: BandSettings,
    turns: Floats,
    n_samples: int,
    *,
    channel: int | None = None,
    quadratures: bool = False,
) -> Capture:
    """Return the contents of a capture of ``n_samples``.

    Parameters
    ----------
    model, settings, turns
        The band, its settings, and the detectors' currents (phi_0).
    n_samples
        The number of words in each half.
    channel
        The only channel to be read, at a higher rate; None: all processed channels, in order of their numbers.
    quadratures
        Whether the transmission is read instead of frequency and error.
    """
    channels = np.sort(processed_channels()) if channel is None else np.array([channel])
    n_frames = -(-n_samples // channels.size)
    rate_hz = FRAME_HZ if channel is None else ONE_CHANNEL_HZ
    ramps = (np.arange(n_frames) * (settings.ramp_hz / rate_hz) + _FIRST_POSITION).astype(np.float64)
    resets = np.diff(np.floor(ramps), prepend=0.0) > 0
    first, second = (np.zeros((n_frames, channels.size)) for _ in range(2))
    columns = np.flatnonzero(settings.power[channels])
    if columns.size:
        f, df = _read(model, settings, turns, channels[columns], ramps % 1.0, quadratures)
        first[:, columns], second[:, columns] = f.T, df.T
    return Capture(first, second, resets)


def words(capture: Capture, n_samples: int) -> tuple[Words, Words]:
    """Return the samples of the two halves as the card's words, ``(n_samples,)`` each."""
    marks = np.where(capture.resets, _RAMP_RESET, np.uint32(0))[:, None]
    marks = np.repeat(marks, capture.first.shape[1], axis=1)
    marks[:, 0] |= _FRAME_START
    halves = []
    for values in (capture.first, capture.second):
        bits = np.rint(np.clip(values * 2**23, -_LIMIT, _LIMIT)).astype(np.int32).view(np.uint32)
        halves.append(((bits & np.uint32(0xFFFFFF)) | marks).ravel()[:n_samples])
    return halves[0], halves[1]


def write(path: Path, first: Words, second: Words) -> None:
    """Write a capture's file.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    with path.open("wb") as file:
        for number, half in enumerate((first, second)):
            file.write(np.array([4 * half.size + 4, number << 24], "<u4").tobytes())
            file.write(half.astype("<u4").tobytes())


def _read(
    model: BandModel,
    settings: BandSettings,
    turns: Floats,
    channels: npt.NDArray[np.int64],
    position: Floats,
    quadratures: bool,
) -> tuple[Floats, Floats]:
    """Return the two halves for channels that are on, at positions in the ramp, as fractions of full scale."""
    tones = model.tones(settings, channels, turns)
    loop: Loop = settings.loop
    moved = followed(settle(tones, loop), loop, position)
    read = transmissions(tones, moved, position, loop.turns)
    read = read + _noise(read, settings.chain.frame_noise())
    if quadratures:
        return read.real, read.imag
    f = settings.center_mhz[channels, None] + moved
    return f / SUB_BAND_MHZ, error(tones, read) / SUB_BAND_MHZ


def _noise(like: Complex, amplitude: float) -> Complex:
    rng = np.random.default_rng()
    drawn = rng.standard_normal(like.shape) + 1j * rng.standard_normal(like.shape)
    return (amplitude * drawn).astype(np.complex128)
