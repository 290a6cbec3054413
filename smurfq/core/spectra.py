"""Computes the shortest stream from which sodetlib's `take_noise` can fit the white noise and the 1/f knee.

`sodetlib.noise.get_noise_params` raises after the stream, if the spectrum has no frequency below 10 Hz, or none in the
band of the white noise. The number of frequencies follows from `sotodlib.tod_ops.fft_ops.calc_psd`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

KNEE_BELOW_HZ: Final = 10.0
WHITE_HZ: Final = (10.0, 30.0)
_SEGMENTS: Final = 50  # approximate number of segments of a stream; their length is a power of two
_MOST_SAMPLES: Final = 2**18  # the maximum number of samples of a stream that sodetlib uses


def least_duration_s(rate_hz: float, kwargs: Mapping[str, Any]) -> float | None:
    """Return the minimum duration of a stream for the keywords of `take_noise`, or None if no duration is enough."""
    most = int(kwargs.get("max_samples") or _MOST_SAMPLES)
    samples = _least_samples(rate_hz, kwargs, most)
    return None if samples is None or samples > most else samples / rate_hz


def _least_samples(rate_hz: float, kwargs: Mapping[str, Any], most: int) -> int | None:
    def found(points: int) -> bool:
        return _has_what_is_sought(rate_hz, points, kwargs)

    if nfft := kwargs.get("nfft"):
        return 2 if found(int(nfft)) else None
    if kwargs.get("nperseg") or kwargs.get("freq_spacing"):
        # A stream that is shorter than a segment is a single segment.
        return next((points for points in range(2, min(_segment(rate_hz, kwargs), most) + 1) if found(points)), None)
    length = next((length for length in range(1, most.bit_length()) if found(2**length)), None)
    return None if length is None else math.ceil(_SEGMENTS * 2 ** (length - 0.5))


def _segment(rate_hz: float, kwargs: Mapping[str, Any]) -> int:
    """Return the number of samples of a segment, from the keywords."""
    if nperseg := kwargs.get("nperseg"):
        return int(nperseg)
    return int(2 ** round(math.log2(rate_hz / float(kwargs["freq_spacing"]))))


def _has_what_is_sought(rate_hz: float, points: int, kwargs: Mapping[str, Any]) -> bool:
    """Return whether a spectrum of segments of ``points`` samples has the frequencies that the fit needs."""
    low_hz, high_hz = kwargs.get("wl_f_range") or WHITE_HZ
    step_hz = rate_hz / points
    if kwargs.get("fit"):
        return bool(1.5 * step_hz < high_hz)  # sodetlib fits up to the frequency nearest to this limit
    first_hz = (math.floor(low_hz / step_hz) + 1) * step_hz
    return step_hz <= KNEE_BELOW_HZ and first_hz < high_hz and first_hz <= rate_hz / 2
