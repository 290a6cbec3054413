"""Reads the state of a slot's card that a run may leave changed: stream, playback, biases, relays and tones."""

from __future__ import annotations

import time
from collections.abc import Callable
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

SWITCHES: Final = {"streaming": ENABLE_STREAMING, "g3_file": OPEN_G3STREAM, "playback": WAVEFORM_ENABLE}
CARD_REGISTERS: Final = (*SWITCHES.values(), SESSION_ID, BIAS_DACS)
RELAY_REGISTERS: Final = (CRYOCARD, CRYOCARD_ANSWER)
TONE_REGISTERS: Final = tuple(amplitudes(band) for band in range(NUM_BANDS))
TES_RELAYS: Final = 0xFFFF  # the relays of the bias groups; the higher bits belong to the flux ramp
_RELAYS_ADDRESS: Final = 0x2
_READ: Final = 1 << 31
_DATA_MASK: Final = 0x7FFFF
_TRIES: Final = 3
_CONNECT_S: Final = 1.0
_BUDGET_S: Final = 3.0
_LEAST_S: Final = 0.05

Timeout = Callable[[], float]


@dataclass(frozen=True)
class CardState:
    """The state of a card. Values of registers that did not answer are None.

    ``bias_dacs`` are the counts of all 32 DACs, ``relays`` the cryocard's relays of the bias groups as bits, ``tones``
    the number of tones in each band.
    """

    streaming: int | None = None
    g3_file: int | None = None
    session_id: int | None = None
    playback: int | None = None
    bias_dacs: list[int] | None = None
    relays: int | None = None
    tones: list[int] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the state as a JSON object."""
        return asdict(self)


def look_at_card(slot: str) -> CardState:
    """Read the state of the card. This takes seconds only if the card does not answer."""
    deadline = time.monotonic() + _BUDGET_S

    def left_s() -> float:
        return max(_LEAST_S, deadline - time.monotonic())

    registers = Registers(slot, (*CARD_REGISTERS, *RELAY_REGISTERS, *TONE_REGISTERS), _CONNECT_S)
    switches = {name: number(registers.get(register, left_s())) for name, register in SWITCHES.items()}
    return CardState(
        **switches,
        session_id=number(registers.get(SESSION_ID, left_s())),
        bias_dacs=numbers(registers.get(BIAS_DACS, left_s())),
        relays=read_relays(registers, left_s),
        tones=read_tones(registers, left_s),
    )


def read_relays(registers: Registers, timeout_s: Timeout) -> int | None:
    """Read the cryocard's relays of the bias groups, one bit each; None if the cryocard does not answer."""
    request = _READ | (_RELAYS_ADDRESS << 20)
    for _ in range(_TRIES):
        registers.put(CRYOCARD, request, timeout_s())  # twice: the first answer may belong to an older request
        registers.put(CRYOCARD, request, timeout_s())
        answer = number(registers.get(CRYOCARD_ANSWER, timeout_s()))
        if answer is None:
            return None
        if (answer & 0x7FFF0000) >> 20 == _RELAYS_ADDRESS:
            return answer & _DATA_MASK & TES_RELAYS
    return None


def write_relays(registers: Registers, relays: int, timeout_s: Timeout) -> None:
    """Set the cryocard's relays of the bias groups, and do not change those of the flux ramp."""
    registers.put(CRYOCARD, _READ | (_RELAYS_ADDRESS << 20), timeout_s())
    others = (number(registers.get(CRYOCARD_ANSWER, timeout_s())) or 0) & _DATA_MASK & ~TES_RELAYS
    for _ in range(2):  # as pysmurf does
        registers.put(CRYOCARD, (_RELAYS_ADDRESS << 20) | others | relays, timeout_s())
        time.sleep(0.1)


def read_tones(registers: Registers, timeout_s: Timeout) -> list[int] | None:
    """Read the number of tones in each band; None if a band does not answer."""
    counts = []
    for register in TONE_REGISTERS:
        scales = registers.get(register, timeout_s())
        if scales is None:
            return None
        counts.append(sum(1 for scale in scales if scale))
    return counts


def number(value: Any) -> int | None:
    """Return a register's value as an int; None stays None."""
    return None if value is None else int(value)


def numbers(values: Any) -> list[int] | None:
    """Return an array's values as ints; None stays None."""
    return None if values is None else [int(value) for value in values]
