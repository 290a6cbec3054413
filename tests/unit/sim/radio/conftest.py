"""A small tuned slot for the tests of the radio side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from smurfq.sim.detectors import Detectors, population
from smurfq.sim.physics.tone import Loop
from smurfq.sim.radio.band import BandModel
from smurfq.sim.radio.chain import Chain
from smurfq.sim.radio.resonators import Resonators, resonators_of
from smurfq.sim.radio.settings import BandSettings
from smurfq.sim.tones import Tones, tuned

SEED = 6


@dataclass(frozen=True)
class TunedSlot:
    """A slot's detectors, resonators and bands, and the tones that it starts with; nothing is biased."""

    detectors: Detectors
    resonators: Resonators
    bands: tuple[BandModel, ...]
    tones: Tones

    @property
    def turns(self) -> Any:
        """No current in any detector."""
        return np.zeros(len(self.detectors))

    def settings(self, band: int = 0, **replaced: Any) -> BandSettings:
        """How a band is set at the start."""
        found: dict[str, Any] = {
            "power": self.tones.power[band].astype(np.int64),
            "center_mhz": self.tones.center_mhz[band],
            "feedback": self.tones.power[band] > 0,
            "eta": self.tones.eta[band],
            "chain": Chain(delay_us=self.bands[band].delays.total_us),
            "loop": Loop(turns=5.0, cycles=5.0, start=0.02, end=0.98),
            "ramp_hz": 4000.0,
            "eta_step_mhz": 0.005,
        }
        return BandSettings(**{**found, **replaced})


def _make(n: int, seed: int = SEED) -> TunedSlot:
    detectors = population(seed, n)
    resonators = resonators_of(detectors, seed)
    bands = tuple(BandModel(band, resonators) for band in range(8))
    return TunedSlot(detectors, resonators, bands, tuned(bands, detectors))


@pytest.fixture(scope="session")
def slot() -> TunedSlot:
    """A slot of fifty detectors a band."""
    return _make(400)
