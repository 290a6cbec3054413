"""The registers of the radio side have initial values, and a channel's registers are views of the arrays."""

from __future__ import annotations

import numpy as np
import pytest

from smurfq.sim.radio import registers as radio
from smurfq.sim.registers import band_register, register_table

REGISTERS = tuple(radio.radio_registers())


def test_every_register_holds_its_own_first_value_and_stands_once() -> None:
    names = [register.name for register in REGISTERS]
    assert len(set(names)) == len(names)
    assert set(names) & set(register_table(1, 2)) == {radio.RAMP_ENABLE} & set(names)
    for register in REGISTERS:
        first = register.first()
        np.testing.assert_array_equal(first, register.value_of(first), err_msg=register.name)


def test_an_exact_register_is_as_long_as_what_was_put() -> None:
    swept = next(register for register in REGISTERS if register.name.endswith(radio.SWEPT))
    held = swept.value_of(np.zeros(512 * 31))
    assert isinstance(held, np.ndarray)
    assert held.size == 512 * 31


@pytest.mark.parametrize(
    ("leaf", "array"),
    [
        ("centerFrequencyMHz", "centerFrequencyArray"),
        ("amplitudeScale", "amplitudeScaleArray"),
        ("feedbackEnable", "feedbackEnableArray"),
        ("etaPhaseDegree", "etaPhaseArray"),
        ("etaMagScaled", "etaMagArray"),
    ],
)
def test_a_channels_register_is_an_element_of_its_array(leaf: str, array: str) -> None:
    own = band_register(3, f"CryoChannels:CryoChannel[77]:{leaf}")
    assert radio.element_of(own) == (band_register(3, "CryoChannels:" + array), 77)


@pytest.mark.parametrize("name", ["CryoChannels:CryoChannel[512]:etaMagScaled", "CryoChannels:CryoChannel[1]:other"])
def test_only_registers_of_channels_are_elements(name: str) -> None:
    assert radio.element_of(band_register(0, name)) is None


@pytest.mark.parametrize("band", range(8))
def test_a_band_has_its_own_attenuators_and_a_bay_its_own_streams(band: int) -> None:
    core, number = divmod(band, 4)
    assert radio.attenuator(band, "UC").endswith(f"MicrowaveMuxCore[{core}]:ATT:UC[{number + 1}]")
    assert radio.capture_streams(core) == (f"AMCc:Stream{2 * core + 1}", f"AMCc:Stream{2 * core}")
