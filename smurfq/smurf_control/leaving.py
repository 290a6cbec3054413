"""What an operation that raises leaves behind on its card: no open stream, and no waveform that plays.

Not all of sodetlib's functions end in a `finally` what they have begun, and an abort may come anywhere. This runs
in the operation's own process, after its own cleaning up; where that process had to be killed, ``making_safe`` does
the same and more. Biases are left as they are: what raises them and fails puts them back, or is killed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from smurfq.smurf_control.registers import (
    BIAS_DACS,
    ENABLE_STREAMING,
    OPEN_G3STREAM,
    SESSION_ID,
    WAVEFORM_ENABLE,
    Registers,
)
from smurfq.smurf_control.session_protocol import SessionProtocol

_WORDS: Final = {
    WAVEFORM_ENABLE: "waveform playback",
    ENABLE_STREAMING: "streaming",
    OPEN_G3STREAM: "the g3 file",
}
_CLOSES_WITHIN_S: Final = 3.0


@contextmanager
def leave_quiet(session: SessionProtocol, control: Any) -> Iterator[None]:
    """Have what is turned on through ``control`` within the block turned off again, if the block raises."""
    on = _watched(control)
    try:
        yield
    except BaseException:
        if on:
            session.add_message(_turn_off(session.slot, on))
        raise


def _watched(control: Any) -> set[str]:
    """What of ``_WORDS`` has been turned on by ``control`` and not off again; it changes as that goes on."""
    on: set[str] = set()
    put = control._caput

    def put_and_note(name: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        register = next((known for known in _WORDS if name.endswith(f":{known}")), None)
        if register is not None and value:
            on.add(register)  # before it is put: an abort may come in the middle
        done = put(name, value, *args, **kwargs)
        if register is not None and not value:
            on.discard(register)
        return done

    control._caput = put_and_note
    return on


def _turn_off(slot: str, on: set[str]) -> str:
    """Turn ``on`` off; what came of it, in a line for people."""
    registers = Registers(slot, (*on, BIAS_DACS, SESSION_ID))
    # A DAC keeps what was played last, so what stood on it before is put again.
    biases = registers.get(BIAS_DACS) if WAVEFORM_ENABLE in on else None
    off = [register for register in _WORDS if register in on and registers.put(register, 0)]
    if biases is not None and WAVEFORM_ENABLE in off:
        registers.put(BIAS_DACS, biases)
    if OPEN_G3STREAM in off:
        registers.wait_for(SESSION_ID, 0, _CLOSES_WITHIN_S)
    parts = [f"turned off what it had left on: {_named(off)}"] if off else []
    if silent := [register for register in _WORDS if register in on and register not in off]:
        parts.append(f"could not be turned off, does not answer: {_named(silent)}")
    return "; ".join(parts)


def _named(registers: list[str]) -> str:
    return ", ".join(_WORDS[register] for register in registers)
