"""Sets a slot's registers to the state after a setup: amplifiers, tones, delays and flux ramp."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from smurfq.core.card import NUM_BANDS
from smurfq.sim import registers as r
from smurfq.sim.cryocard import HEMT_GATE_DAC, Amplifier
from smurfq.sim.radio import registers as radio
from smurfq.sim.radio.band import BandModel
from smurfq.sim.radio.scans import eta_registers
from smurfq.sim.radio.settings import TURNS_AT_FULL_SCALE
from smurfq.sim.registers import Value
from smurfq.sim.tones import Tones
from smurfq.sim.wiring import FLUX_RAMP_HZ, TURNS_PER_RAMP


def set_up(tones: Tones, bands: Sequence[BandModel], amplifiers: Iterable[Amplifier]) -> Iterator[tuple[str, Value]]:
    """Return the registers and values, in order, that set up a slot with these tones."""
    for band in range(NUM_BANDS):
        yield r.band_register(band, "CryoChannels:amplitudeScaleArray"), tones.power[band]
        on = (tones.power[band] > 0).astype(np.int32)
        yield r.band_register(band, "CryoChannels:feedbackEnableArray"), on
        yield r.band_register(band, "CryoChannels:centerFrequencyArray"), tones.center_mhz[band]
        yield from eta_registers(band, tones.eta[band]).items()
        yield r.band_register(band, "lmsFreqHz"), TURNS_PER_RAMP * FLUX_RAMP_HZ
    for model in bands:
        yield r.band_register(model.band, "bandDelayUs"), model.delays.total_us
    yield radio.RAMP_ENABLE, 1
    yield radio.RAMP_RESET, float(2**31 * (1.0 - TURNS_PER_RAMP / TURNS_AT_FULL_SCALE))
    for amplifier in amplifiers:
        for dac, bits in amplifier.working_point().items():
            yield (r.HEMT_GATE if dac == HEMT_GATE_DAC else r.dac_register(dac)), bits
