"""Sensors that the tests of the physics are made with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from smurfq.sim.detectors import population
from smurfq.sim.physics.tes import TesParameters

MakeSensors = Callable[..., TesParameters]


@pytest.fixture
def make_sensors() -> MakeSensors:
    """Makes sensors as a slot has them; keywords replace a parameter by one number for all."""

    def make(n: int = 40, **replaced: float) -> TesParameters:
        tes = population(3, n).tes
        return replace(tes, **{name: np.full(n, value) for name, value in replaced.items()})

    return make


@pytest.fixture
def tes(make_sensors: MakeSensors) -> TesParameters:
    """Forty sensors without optical power."""
    return make_sensors()
