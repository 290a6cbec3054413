"""Determines the factor of the card's downsampler, from a register or the timing system's counters."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from smurfq.errors import StreamError
from smurfq.sim.registers import INTERNAL_FACTOR, PROCESSOR, Value

MODE: Final = PROCESSOR + "Downsampler:DownsamplerMode"
BITMASK: Final = PROCESSOR + "Downsampler:ExternalBitmask"
EXTERNAL: Final = 1

# Frames between the ticks of the timing system's counters, starting at the lowest bit of the mask (pysmurf's
# DownsampleCounters, "v3"). The ten bits below them are fixed rates.
_PERIODS: Final = (*(2**k for k in range(1, 9)), *(3**k for k in range(1, 6)), *(5**k for k in range(1, 4)))
_FIXED_RATES: Final = 10


def is_external(value: Callable[[str], Value]) -> bool:
    """Return whether the timing system selects the frames; ``value`` returns the value of a register."""
    return _int(value(MODE)) == EXTERNAL


def downsample_factor(value: Callable[[str], Value]) -> int:
    """Return the downsampling factor: one frame of this many is kept.

    Raises
    ------
    StreamError
        The timing system should select the frames, but no bit of its counters is used: no frame would ever be kept.
    """
    if not is_external(value):
        return _int(value(INTERNAL_FACTOR))
    bitmask = _int(value(BITMASK)) >> _FIXED_RATES
    periods = [period for bit, period in enumerate(_PERIODS) if bitmask >> bit & 1]
    if not periods:
        raise StreamError(f"external downsampling keeps no frame with {BITMASK} = {_int(value(BITMASK))}; set a factor")
    return math.lcm(*periods)


def _int(value: Value) -> int:
    if not isinstance(value, int | float):
        raise StreamError(f"expected one number in a register of the downsampler; got {str(value)[:60]!r}")
    return int(value)
