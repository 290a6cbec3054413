"""Reads the state of a slot's card that a run may leave changed: stream, playback, biases, relays and tones."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

from smurfq.core.card import NUM_BANDS
from smurfq.smurf_control.registers import (
    BIAS_DACS,
    CRYOCARD,
    CRYOCARD_ANSWER,
    ENABLE_STREAMING,
    OPEN_G3STREAM,
    SESSION_ID,
    WAVEFORM_ENABLE,
    Registers,
    amplitudes,
)
from smurfq.smurf_control.wiring import wiring_of

SWITCHES: Final = {"streaming": ENABLE_STREAMING, "g3_file": OPEN_G3STREAM, "playback": WAVEFORM_ENABLE}
CARD_REGISTERS: Final = (*SWITCHES.values(), SESSION_ID, BIAS_DACS)
RELAY_REGISTERS: Final = (CRYOCARD, CRYOCARD_ANSWER)
TES_RELAYS: Final = 0xFFFF  # the relays of the bias groups; the higher bits belong to the flux ramp
NO_CRYOCARD: Final = 0  # the firmware's version if no cryocard is connected, since each answer is then 0
_FIRMWARE_ADDRESS: Final = 0x0
_RELAYS_ADDRESS: Final = 0x2
_READ: Final = 1 << 31
_DATA_MASK: Final = 0x7FFFF
_ADDRESS_MASK: Final = 0x7FF
_TRIES: Final = 3
_CONNECT_S: Final = 1.0
_BUDGET_S: Final = 3.0
_LEAST_S: Final = 0.05

Timeout = Callable[[], float]


@dataclass(frozen=True)
class CardState:
    """The state of a card. Values of registers that did not answer are None.

    ``bias_dacs`` are the counts of all 32 DACs. ``relays`` has a bit for each relay of a bias group, 1 for high-current
    mode, as the cryocard was last told: no relay can be read. ``tones`` is the number of tones in each band.
    ``cryocard_major`` is the major version of the cryocard's firmware, 0 if no cryocard is connected.
    """

    streaming: int | None = None
    g3_file: int | None = None
    session_id: int | None = None
    playback: int | None = None
    bias_dacs: list[int] | None = None
    relays: int | None = None
    tones: list[int] | None = None
    cryocard_major: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the state as a JSON object."""
        return asdict(self)


def look_at_card(slot: str) -> CardState:
    """Read the state of the card. This takes seconds only if the card does not answer."""
    deadline = time.monotonic() + _BUDGET_S

    def left_s() -> float:
        return max(_LEAST_S, deadline - time.monotonic())

    bands = wiring_of(slot).bands
    registers = Registers(slot, (*CARD_REGISTERS, *RELAY_REGISTERS, *tone_registers(bands)), _CONNECT_S)
    switches = {name: number(registers.get(register, left_s())) for name, register in SWITCHES.items()}
    return CardState(
        **switches,
        session_id=number(registers.get(SESSION_ID, left_s())),
        bias_dacs=numbers(registers.get(BIAS_DACS, left_s())),
        relays=read_relays(registers, left_s),
        tones=read_tones(registers, bands, left_s),
        cryocard_major=read_firmware_major(registers, left_s),
    )


def read_relays(registers: Registers, timeout_s: Timeout) -> int | None:
    """Read what the cryocard was last told of the bias groups' relays; None if the cryocard does not answer."""
    word = _read_relay_word(registers, timeout_s)
    return None if word is None else word & TES_RELAYS


def write_relays(registers: Registers, relays: int, timeout_s: Timeout) -> None:
    """Set the cryocard's relays of the bias groups, and do not change those of the flux ramp.

    If the cryocard does not answer, the state of the flux ramp's relays is unknown, and nothing is written.
    """
    word = _read_relay_word(registers, timeout_s)
    if word is None:
        return
    for _ in range(2):  # as pysmurf does
        registers.put(CRYOCARD, (_RELAYS_ADDRESS << 20) | (word & ~TES_RELAYS) | relays, timeout_s())
        time.sleep(0.1)


def read_firmware_major(registers: Registers, timeout_s: Timeout) -> int | None:
    """Read the major version of the cryocard's firmware: 0 if none is connected, None if it does not answer."""
    value = _read_cryocard(registers, _FIRMWARE_ADDRESS, timeout_s)
    return None if value is None else value >> 16 & 0xFF


def _read_relay_word(registers: Registers, timeout_s: Timeout) -> int | None:
    value = _read_cryocard(registers, _RELAYS_ADDRESS, timeout_s)
    return None if value is None else value & _DATA_MASK  # without the bit that says that a relay is moving


def _read_cryocard(registers: Registers, address: int, timeout_s: Timeout) -> int | None:
    """Read a register of the cryocard (20 bits); None if the cryocard does not answer."""
    request = _READ | (address << 20)
    for _ in range(_TRIES):
        registers.put(CRYOCARD, request, timeout_s())  # twice: the first answer may belong to an older request
        registers.put(CRYOCARD, request, timeout_s())
        answer = number(registers.get(CRYOCARD_ANSWER, timeout_s()))
        if answer is None:
            return None
        if answer >> 20 & _ADDRESS_MASK == address:
            return answer & 0xFFFFF
    return None


def tone_registers(bands: Iterable[int]) -> tuple[str, ...]:
    """Return the registers with the amplitudes of the tones of bands."""
    return tuple(amplitudes(band) for band in bands)


def read_tones(registers: Registers, bands: Iterable[int], timeout_s: Timeout) -> list[int] | None:
    """Read the number of tones in each band of a card, 0 for one that it lacks; None if a band does not answer."""
    counts = [0] * NUM_BANDS
    for band in bands:
        scales = registers.get(amplitudes(band), timeout_s())
        if scales is None:
            return None
        counts[band] = sum(1 for scale in scales if scale)
    return counts


def number(value: Any) -> int | None:
    """Return a register's value as an int; None stays None."""
    return None if value is None else int(value)


def numbers(values: Any) -> list[int] | None:
    """Return an array's values as ints; None stays None."""
    return None if values is None else [int(value) for value in values]
