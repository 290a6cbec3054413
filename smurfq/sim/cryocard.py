"""The cryocard: relays, amplifier supplies and monitors, behind one command word and one reply word.

A command is ``read << 31 | address << 20 | data``; the reply to a read is ``address << 20 | value``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

RELAYS: Final = 0x2
SUPPLIES: Final = 0x7
_FIRMWARE: Final = 0x0
_TEMPERATURE: Final = 0x5

_READ: Final = 1 << 31
_ADDRESS: Final = 0x7FF
_DATA: Final = 0xFFFFF
_ADC_V: Final = 3.3 / (1024 * 5)
_GATE_V: Final = 3.86936e-6  # a bit of a gate's DAC
_TEMPERATURE_BITS: Final = 1691  # 30 degrees Celsius
_FIRMWARE_C04: Final = 0x040102  # version 4.1.2, of a card with two HEMT and two 50 K amplifiers


@dataclass(frozen=True)
class Amplifier:
    """An amplifier: its supply's bit, its gate's DAC, and its drain current near the working point, linear."""

    supply_bit: int
    gate_dac: int
    current_ma: float
    at_gate_v: float
    slope_ma_per_v: float
    shunt_ohm: float
    gain: float

    def drain_bits(self, gate_bits: int) -> int:
        """What the card's ADC reads of the drain current, with ``gate_bits`` on the gate's DAC."""
        current_ma = max(0.0, self.current_ma + self.slope_ma_per_v * (gate_bits * _GATE_V - self.at_gate_v))
        return min(_DATA, round(current_ma * 1e-3 / 2 * self.shunt_ohm * self.gain / _ADC_V))


# By the address of the drain current. The slopes are small enough for sodetlib's search, which is linear.
AMPLIFIERS: Final = {
    0x3: Amplifier(0, 33, 8.0, -0.70, 10.0, 50.0, 3.874),  # hemt1
    0x4: Amplifier(1, 30, 15.0, -0.45, 50.0, 12.0, 9.929),  # 50k1
    0xA: Amplifier(2, 27, 8.0, -0.72, 10.0, 50.0, 3.874),  # hemt2
    0xB: Amplifier(3, 26, 15.0, -0.43, 50.0, 12.0, 9.929),  # 50k2
}


class Cryocard:
    """The state of a cryocard.

    Parameters
    ----------
    gate_bits
        What stands on a DAC (1 to 33), asked for when a drain current is read.
    """

    def __init__(self, gate_bits: Callable[[int], int]) -> None:
        self._gate_bits = gate_bits
        self._registers = {_FIRMWARE: _FIRMWARE_C04, RELAYS: 0, _TEMPERATURE: _TEMPERATURE_BITS, SUPPLIES: 0}

    @property
    def relays(self) -> int:
        """The relay word: bit g set where bias group g is in high-current mode."""
        return self._registers[RELAYS]

    def command(self, word: int) -> int | None:
        """The reply to a command word; None where it was one to write."""
        word &= 0xFFFFFFFF  # it comes as a signed number
        address = word >> 20 & _ADDRESS
        if word & _READ:
            return address << 20 | self._read(address)
        self._registers[address] = word & _DATA
        return None

    def _read(self, address: int) -> int:
        amplifier = AMPLIFIERS.get(address)
        if amplifier is None:
            return self._registers.get(address, 0)
        if not self._registers[SUPPLIES] >> amplifier.supply_bit & 1:
            return 0
        return amplifier.drain_bits(self._gate_bits(amplifier.gate_dac))
