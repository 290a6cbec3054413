"""The cryocard's protocol, and the amplifiers behind it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smurfq.sim.cryocard import AMPLIFIERS, RELAYS, SUPPLIES, Cryocard

READ = 1 << 31


def card(gates: dict[int, int] | None = None) -> Cryocard:
    return Cryocard(lambda dac: (gates or {}).get(dac, 0))


def read(one: Cryocard, address: int) -> int:
    reply = one.command(READ | address << 20)
    assert reply is not None
    assert (reply & 0x7FFF0000) >> 20 == address  # as pysmurf compares them
    return reply & 0xFFFFF


@given(st.integers(0, 0xFFFFF))
def test_relays_and_supplies_are_read_back_as_written(value: int) -> None:
    one = card()
    for address in (RELAYS, SUPPLIES):
        assert one.command(address << 20 | value) is None
        assert read(one, address) == value
    assert one.relays == value


def test_a_command_may_come_as_a_signed_number() -> None:
    assert card().command((READ | 0x5 << 20) - 2**32) == 0x5 << 20 | 1691


def test_firmware_is_that_of_a_card_with_four_amplifiers() -> None:
    assert read(card(), 0x0) == 4 << 16 | 1 << 8 | 2


@pytest.mark.parametrize("address", AMPLIFIERS)
def test_a_drain_current_needs_its_supply_and_rises_with_its_gate(address: int) -> None:
    amplifier = AMPLIFIERS[address]
    working_point = round(amplifier.at_gate_v / 3.86936e-6)
    gates = amplifier.working_point()
    assert gates[amplifier.gate_dac] == working_point
    one = card(gates)
    assert read(one, address) == 0
    one.command(SUPPLIES << 20 | 1 << amplifier.supply_bit)
    bits = read(one, address)
    current_ma = bits * (3.3 / 5120) / (amplifier.shunt_ohm * amplifier.gain) * 2e3
    assert current_ma == pytest.approx(amplifier.current_ma, abs=0.01)
    gates[amplifier.gate_dac] += 5000
    assert read(one, address) > bits
    gates[amplifier.gate_dac] = -(2**19)
    assert read(one, address) == 0
