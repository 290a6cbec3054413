"""What a slot's sensors read."""

from __future__ import annotations

import numpy as np
import pytest

from smurfq.core.card import NUM_BANDS
from smurfq.sim import registers as r
from smurfq.sim.faults import Faults
from smurfq.sim.registers import Value
from smurfq.sim.sensors import LINK_ERRORS_HZ, OVERHEATED_C, STREAM_A, STREAM_C, TONES_C, Sensors

NOW = 1_700_000_000.0


class Card:
    """The registers and faults that the sensors look at."""

    def __init__(self) -> None:
        self.values: dict[str, Value] = {r.ENABLE_STREAMING: 0}
        self.faults = Faults()
        self.light(0)
        self.sensors = Sensors(lambda name: self.values[name], lambda: self.faults, NOW)

    def light(self, tones: int) -> None:
        """Set the number of tones of each band."""
        for band in range(NUM_BANDS):
            power = np.zeros(512, np.int32)
            power[:tones] = 12
            self.values[r.band_register(band, "CryoChannels:amplitudeScaleArray")] = power


def test_a_card_with_tones_that_streams_is_warmer_and_draws_more() -> None:
    card = Card()
    before_c, before_a = card.sensors.temperature_c(NOW), card.sensors.current_a(NOW)
    card.values[r.ENABLE_STREAMING] = 1
    assert card.sensors.temperature_c(NOW) - before_c == pytest.approx(STREAM_C)
    assert card.sensors.current_a(NOW) - before_a == pytest.approx(STREAM_A)
    card.light(200)
    assert card.sensors.temperature_c(NOW) - before_c == pytest.approx(STREAM_C + TONES_C * 1600 / 1700, abs=0.01)


def test_the_faults_are_seen() -> None:
    card = Card()
    cool_c = card.sensors.temperature_c(NOW)
    assert card.sensors.link_errors(NOW + 5) == 0
    card.faults = Faults(overheated=True, link_errors=True)
    assert card.sensors.temperature_c(NOW) - cool_c == pytest.approx(OVERHEATED_C)
    assert card.sensors.link_errors(NOW + 7) == 2 * LINK_ERRORS_HZ
    card.faults = Faults()
    assert card.sensors.link_errors(NOW + 60) == 2 * LINK_ERRORS_HZ


def test_a_client_reads_the_sensors_as_registers() -> None:
    readings = Card().sensors.readings()
    table = r.register_table(1, 2)
    assert readings.keys() == {r.FPGA_TEMPERATURE, r.CARRIER_CURRENT, *r.LINK_ERRORS}
    assert all(
        isinstance(reading(NOW), float if table[name].kind == "float" else int) for name, reading in readings.items()
    )
