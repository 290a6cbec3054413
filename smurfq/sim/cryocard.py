"""Models the cryocard: relays, amplifier supplies and monitors, with one command word and one reply word.

A command is ``read << 31 | address << 20 | data``; the reply to a read is ``address << 20 | value``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

from smurfq.core.card_wiring import TWO_AMPLIFIERS
from smurfq.sim.wiring import FIRMWARE

RELAYS: Final = 0x2
SUPPLIES: Final = 0x7
HEMT_GATE_DAC: Final = 33  # the number after the slow DACs; this DAC has its own register
_FIRMWARE: Final = 0x0
_TEMPERATURE: Final = 0x5

_READ: Final = 1 << 31
_ADDRESS: Final = 0x7FF
_DATA: Final = 0xFFFFF
_ADC_V: Final = 3.3 / (1024 * 5)
_GATE_V: Final = 3.86936e-6  # one bit of a gate's DAC
_TEMPERATURE_BITS: Final = 1691  # 30 degrees Celsius
_DAC_V: Final = 20.0 / 2**20
_STUCK: Final = 0.3  # fraction of the nominal drain current, independent of the gate
_LOST_DB: Final = 30.0  # loss of an amplifier without current, relative to one with its nominal current


@dataclass(frozen=True)
class Amplifier:
    """An amplifier: its supply's bit, its DACs, and its drain current near the working point, linear in the gate.

    ``line`` is its feedline (0: bands 0 to 3, 1: bands 4 to 7). The drain voltage is ``drain_offset_v`` plus
    ``drain_slope`` times the voltage of its DAC, and constant without one. Below ``knee_v``, the current falls with the
    drain voltage. The monitor shows ``offset_ma`` more.
    """

    name: str
    line: int
    supply_bit: int
    gate_dac: int
    drain_dac: int | None
    current_ma: float
    at_gate_v: float
    slope_ma_per_v: float
    shunt_ohm: float
    gain: float
    drain_v: float
    knee_v: float
    drain_slope: float
    drain_offset_v: float
    gate_bit_v: float = _GATE_V
    offset_ma: float = 0.0

    def drain_ma(self, gate_bits: int, drain_bits: int) -> float:
        """Return the drain current (mA) for these bits of the gate's and the drain's DACs."""
        at_drain_v = max(0.0, self.drain_offset_v + self.drain_slope * drain_bits * _DAC_V)
        open_ma = max(0.0, self.current_ma + self.slope_ma_per_v * (gate_bits * self.gate_bit_v - self.at_gate_v))
        return open_ma * math.tanh(at_drain_v / self.knee_v) / math.tanh(self.drain_v / self.knee_v)

    def monitor_bits(self, current_ma: float) -> int:
        """Return the card's ADC value for a drain current."""
        return min(_DATA, round((current_ma + self.offset_ma) * 1e-3 / 2 * self.shunt_ohm * self.gain / _ADC_V))

    def working_point(self) -> dict[int, int]:
        """Return the bits of the DACs at which the amplifier draws its nominal current."""
        bits = {self.gate_dac: round(self.at_gate_v / self.gate_bit_v)}
        if self.drain_dac is not None:
            bits[self.drain_dac] = round((self.drain_v - self.drain_offset_v) / self.drain_slope / _DAC_V)
        return bits


def _hemt(name: str, line: int, supply_bit: int, gate_dac: int, drain_dac: int, at_gate_v: float) -> Amplifier:
    voltages = {"drain_v": 0.6, "knee_v": 0.2, "drain_slope": -0.259491, "drain_offset_v": 1.74185}
    return Amplifier(name, line, supply_bit, gate_dac, drain_dac, 8.0, at_gate_v, 10.0, 50.0, 3.874, **voltages)


def _50k(name: str, line: int, supply_bit: int, gate_dac: int, drain_dac: int, at_gate_v: float) -> Amplifier:
    voltages = {"drain_v": 4.0, "knee_v": 1.5, "drain_slope": -0.224968, "drain_offset_v": 5.59815}
    return Amplifier(name, line, supply_bit, gate_dac, drain_dac, 15.0, at_gate_v, 50.0, 12.0, 9.929, **voltages)


# By the address of the drain current. The slopes are small enough for sodetlib's search, which is linear.
AMPLIFIERS: Final = {
    0x3: _hemt("hemt1", 0, 0, HEMT_GATE_DAC, 31, -0.70),
    0x4: _50k("50k1", 0, 1, 30, 32, -0.45),
    0xA: _hemt("hemt2", 1, 2, 27, 29, -0.72),
    0xB: _50k("50k2", 1, 3, 26, 28, -0.43),
}
# A C02 card has two amplifiers, whose drain voltages are fixed. The offsets and bits are those of the simulator's
# configuration.
_C02_AMPLIFIERS: Final = {
    0x3: Amplifier(
        "hemt", 0, 0, HEMT_GATE_DAC, None, 8.0, -0.70, 10.0, 200.0, 1.0, 0.6, 0.2, 0.0, 0.6, 1.93e-6, 0.9668
    ),
    0x4: Amplifier("50k", 0, 1, 32, None, 15.0, -0.45, 50.0, 10.0, 1.0, 4.0, 1.5, 0.0, 4.0, 3.88e-6, 0.3867),
}
AMPLIFIER_NAMES: Final = tuple(one.name for one in (*AMPLIFIERS.values(), *_C02_AMPLIFIERS.values()))


def amplifiers_of(firmware: tuple[int, int, int]) -> Mapping[int, Amplifier]:
    """Return the amplifiers of a cryocard by the addresses of their drain currents."""
    return _C02_AMPLIFIERS if firmware[0] in TWO_AMPLIFIERS else AMPLIFIERS


class Cryocard:
    """The state of a cryocard.

    Parameters
    ----------
    dac_bits
        A function that returns the bits of a DAC (1 to 33), called when a drain current is read.
    powered
        Whether the amplifiers' supplies are on at the start.
    firmware
        The version of the firmware.
    """

    def __init__(
        self,
        dac_bits: Callable[[int], int],
        *,
        powered: bool = False,
        firmware: tuple[int, int, int] = FIRMWARE,
    ) -> None:
        self._dac_bits = dac_bits
        self._amplifiers = amplifiers_of(firmware)
        supplies = sum(1 << one.supply_bit for one in self.amplifiers) if powered else 0
        major, minor, patch = firmware
        version = major << 16 | minor << 8 | patch
        self._registers = {_FIRMWARE: version, RELAYS: 0, _TEMPERATURE: _TEMPERATURE_BITS, SUPPLIES: supplies}
        self.stuck: Collection[str] = ()

    @property
    def amplifiers(self) -> Collection[Amplifier]:
        """Return the card's amplifiers."""
        return self._amplifiers.values()

    @property
    def relays(self) -> int:
        """Return the relay word: the bit of a bias group is set if the group is in high-current mode."""
        return self._registers[RELAYS]

    def command(self, word: int) -> int | None:
        """Return the reply to a command word; None for a write command."""
        word &= 0xFFFFFFFF  # the register's value is signed
        address = word >> 20 & _ADDRESS
        if word & _READ:
            return address << 20 | self._read(address)
        self._registers[address] = word & _DATA
        return None

    def amplifier_loss_db(self, line: int) -> float:
        """Return the missing gain (dB) of a feedline's amplifiers: 0 at their nominal currents or above."""
        shares = [self._drain_ma(one) / one.current_ma for one in self.amplifiers if one.line == line]
        return sum(_LOST_DB * (1.0 - min(1.0, share)) ** 2 for share in shares)

    def _read(self, address: int) -> int:
        amplifier = self._amplifiers.get(address)
        if amplifier is None:
            return self._registers.get(address, 0)
        return amplifier.monitor_bits(self._drain_ma(amplifier))

    def _drain_ma(self, amplifier: Amplifier) -> float:
        if not self._registers[SUPPLIES] >> amplifier.supply_bit & 1:
            return 0.0
        if amplifier.name in self.stuck:
            return _STUCK * amplifier.current_ma
        drain_bits = 0 if amplifier.drain_dac is None else self._dac_bits(amplifier.drain_dac)
        return amplifier.drain_ma(self._dac_bits(amplifier.gate_dac), drain_bits)
