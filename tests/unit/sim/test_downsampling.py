"""The downsampling factor in both of pysmurf's modes."""

from __future__ import annotations

import pytest

from smurfq.errors import StreamError
from smurfq.sim.downsampling import BITMASK, EXTERNAL, MODE, downsample_factor, is_external
from smurfq.sim.registers import INTERNAL_FACTOR, Value

# Factors, and what `set_downsample_factor` of pysmurf 10.3.4 puts into the bitmask for them.
AS_PYSMURF = [
    (2, 1024),
    (8, 4096),
    (20, 8390656),
    (24, 266240),
    (200, 16781312),
    (256, 131072),
    (4000, 33570816),
    (7776000, 37879808),
]


def held(mode: int, factor: int = 7, bitmask: int = 0) -> dict[str, Value]:
    return {MODE: mode, INTERNAL_FACTOR: factor, BITMASK: bitmask}


def test_by_itself_it_takes_its_own_factor() -> None:
    value = held(0, factor=20, bitmask=3 << 10).__getitem__
    assert (downsample_factor(value), is_external(value)) == (20, False)


@pytest.mark.parametrize(("factor", "bitmask"), AS_PYSMURF)
def test_by_the_timing_system_it_takes_what_pysmurf_asks_for(factor: int, bitmask: int) -> None:
    value = held(EXTERNAL, bitmask=bitmask).__getitem__
    assert (downsample_factor(value), is_external(value)) == (factor, True)


@pytest.mark.parametrize("bitmask", [0, 1, 1023])
def test_settings_that_would_keep_no_frame_are_rejected(bitmask: int) -> None:
    with pytest.raises(StreamError, match=rf"ExternalBitmask = {bitmask}; set a factor"):
        downsample_factor(held(EXTERNAL, bitmask=bitmask).__getitem__)
