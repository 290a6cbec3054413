"""Sensors for the tests of the physics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from smurfq.sim.detectors import population
from smurfq.sim.physics.tes import TesParameters
from smurfq.sim.radio.chain import TONE_POWER
from smurfq.sim.tones import Tones, no_tones

MakeSensors = Callable[..., TesParameters]


def tones_at(bands: Sequence[int], channels: Sequence[int]) -> Tones:
    """Tones in these channels, wherever in their sub-bands."""
    tones = no_tones()
    tones.power[bands, channels] = TONE_POWER
    tones.center_mhz[bands, channels] = np.linspace(0.1, 0.4, len(channels))
    tones.eta[bands, channels] = 0.3j
    return tones


@pytest.fixture
def make_sensors() -> MakeSensors:
    """Makes sensors as a slot has them; keywords replace a parameter by one number for all."""

    def make(n: int = 40, **replaced: float) -> TesParameters:
        tes = population(3, n).tes
        arrays: dict[str, Any] = {name: np.full(n, value) for name, value in replaced.items()}
        return replace(tes, **arrays)

    return make


@pytest.fixture
def tes(make_sensors: MakeSensors) -> TesParameters:
    """Forty sensors without optical power."""
    return make_sensors()
