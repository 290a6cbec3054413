"""Turns off tones, flux ramp and biases after a setup or relock that did not finish.

Both start by turning all of these off, so there is no earlier state to restore, and a half-tuned slot is useless.
Amplifiers are not changed, since switching them warms the stage. There is one exception: if the operation ended while
it searched the gate voltages, the amplifiers' current is unknown. They are then turned off, as sodetlib does if it
cannot bias one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from smurfq.smurf_control.biases import zeroed
from smurfq.smurf_control.card_state import RELAY_REGISTERS, read_firmware_major
from smurfq.smurf_control.registers import BIAS_DACS, CRYOCARD, RAMP_ENABLE, Registers, all_tones
from smurfq.smurf_control.session_protocol import SessionProtocol
from smurfq.smurf_control.wiring import wiring_of

AMPLIFIERS_STAGE: Final = "setup_amps"  # as sodetlib calls it
_CONNECT_S: Final = 4.0  # reached only if a server is away, or the machine overloaded
_BUDGET_S: Final = 8.0
_LEAST_S: Final = 0.05
_POWER_OFF: Final = 7 << 20  # the cryocard's command that turns off all supplies of the amplifiers


@contextmanager
def untuned_unless_done(session: SessionProtocol) -> Iterator[None]:
    """Leave the slot untuned if the block raises, and say so in a message of the record."""
    try:
        yield
    except BaseException:
        stages = session.data.get("timestamps") or [("", 0.0)]
        session.add_message(untune(session.slot, amplifiers=stages[-1][0] == AMPLIFIERS_STAGE)["text"])
        raise


def untune(slot: str, *, amplifiers: bool) -> dict[str, Any]:
    """Turn off all tones, the flux ramp and the biases of a slot, and optionally its ``amplifiers``.

    ``silent`` lists what does not answer within seconds. ``text`` describes the result for people.
    """
    deadline = time.monotonic() + _BUDGET_S
    wiring = wiring_of(slot)
    tones = [all_tones(band) for band in wiring.bands]
    registers = Registers(slot, (*tones, RAMP_ENABLE, BIAS_DACS, *RELAY_REGISTERS), _CONNECT_S)

    def left_s() -> float:
        return max(_LEAST_S, deadline - time.monotonic())

    def put(name: str, value: Any) -> bool:
        return registers.put(name, value, left_s())

    of_bands = [put(name, 0) for name in tones]  # every band, even if another does not answer
    off = {"tones": all(of_bands), "flux ramp": put(RAMP_ENABLE, 0)}
    if wiring.depends_on_firmware:
        wiring = wiring.for_firmware(read_firmware_major(registers, left_s))
    values = registers.get(BIAS_DACS, left_s())
    off["biases"] = values is not None and put(BIAS_DACS, zeroed(values, wiring.bias_pairs))
    if amplifiers:
        off["amplifiers"] = put(CRYOCARD, _POWER_OFF)
    done, silent = ([what for what, is_off in off.items() if is_off is wanted] for wanted in (True, False))
    parts = [f"left untuned; turned off: {', '.join(done)}"] if done else []
    if silent:
        parts.append(f"could not be turned off (no answer): {', '.join(silent)}")
    if not amplifiers:
        parts.append("amplifiers were not changed")
    return {"text": "; ".join(parts), "silent": silent}
