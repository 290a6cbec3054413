"""The length of stream that sodetlib's `take_noise` needs to fit the white noise and the knee of its spectrum.

By `sodetlib.noise.get_noise_params` and `sotodlib.tod_ops.fft_ops.calc_psd`, which find that out only when they have
the stream: the former dies where the spectrum has no frequency below 10 Hz, or none where the noise is taken for white.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

KNEE_BELOW_HZ: Final = 10.0
WHITE_HZ: Final = (10.0, 30.0)
_SEGMENTS: Final = 50  # that a stream is cut into, about: their length is a power of two
_MOST_SAMPLES: Final = 2**18  # of a stream that are used


def least_duration_s(rate_hz: float, kwargs: Mapping[str, Any]) -> float | None:
    """How long a stream of ``rate_hz`` must be, by the keyword arguments of `take_noise`; None: no length will do."""
    most = int(kwargs.get("max_samples") or _MOST_SAMPLES)
    samples = _least_samples(rate_hz, kwargs, most)
    return None if samples is None or samples > most else samples / rate_hz


def _least_samples(rate_hz: float, kwargs: Mapping[str, Any], most: int) -> int | None:
    def found(points: int) -> bool:
        return _has_what_is_sought(rate_hz, points, kwargs)

    if nfft := kwargs.get("nfft"):
        return 2 if found(int(nfft)) else None
    if kwargs.get("nperseg") or kwargs.get("freq_spacing"):
        # A stream that is shorter than a segment is one.
        return next((points for points in range(2, min(_segment(rate_hz, kwargs), most) + 1) if found(points)), None)
    length = next((length for length in range(1, most.bit_length()) if found(2**length)), None)
    return None if length is None else math.ceil(_SEGMENTS * 2 ** (length - 0.5))


def _segment(rate_hz: float, kwargs: Mapping[str, Any]) -> int:
    """The samples of a segment of the length asked for."""
    if nperseg := kwargs.get("nperseg"):
        return int(nperseg)
    return int(2 ** round(math.log2(rate_hz / float(kwargs["freq_spacing"]))))


def _has_what_is_sought(rate_hz: float, points: int, kwargs: Mapping[str, Any]) -> bool:
    """Whether a spectrum of segments of so many samples has a frequency for each thing that is sought in it."""
    low_hz, high_hz = kwargs.get("wl_f_range") or WHITE_HZ
    step_hz = rate_hz / points
    if kwargs.get("fit"):
        return bool(1.5 * step_hz < high_hz)  # sodetlib fits up to the frequency nearest to it
    first_hz = (math.floor(low_hz / step_hz) + 1) * step_hz
    return step_hz <= KNEE_BELOW_HZ and first_hz < high_hz and first_hz <= rate_hz / 2
