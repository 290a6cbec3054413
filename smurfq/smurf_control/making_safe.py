"""What is done for a card whose operation had to be killed: stream closed, waveforms stopped, biases zeroed.

It runs in a process of its own, since the operation's is gone, and goes to EPICS straight, since a hung card
is what an operation is often killed for.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

from smurfq.core.slot import SlotId
from smurfq.smurf_control.registers import (
    BIAS_DACS,
    ENABLE_STREAMING,
    OPEN_G3STREAM,
    SESSION_ID,
    WAVEFORM_ENABLE,
    Registers,
    epics_root,
)

BUDGET_S: Final = 10.0
_STEP_S: Final = 2.0
_CONNECT_S: Final = 4.0  # a server that is there answers within milliseconds, unless the machine is overloaded
_TURNED_OFF: Final = (ENABLE_STREAMING, OPEN_G3STREAM, WAVEFORM_ENABLE)
_WORDS: Final = {
    ENABLE_STREAMING: "streaming",
    OPEN_G3STREAM: "the g3 file",
    SESSION_ID: "the g3 file's session",
    WAVEFORM_ENABLE: "waveform playback",
    "bias_dacs_up": "biases",
}
_NUM_BIAS_GROUPS: Final = 12


def make_safe(slot: str) -> dict[str, Any]:
    """Close the stream, stop waveform playback and zero the biases; what was found, done and read back.

    Takes at most ``BUDGET_S`` seconds, whatever answers. ``safe`` is true where all was read back as off;
    false where something is known to be on, or does not answer: ``unknown`` names the latter.
    """
    deadline = time.monotonic() + BUDGET_S

    def left_s() -> float:
        return max(0.05, min(_STEP_S, deadline - time.monotonic()))

    registers = Registers(slot, (*_TURNED_OFF, SESSION_ID, BIAS_DACS), _CONNECT_S)
    found: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for name in _TURNED_OFF:
        found[name] = _number(registers.get(name, left_s()))
        registers.put(name, 0, left_s())
        after[name] = _number(registers.get(name, left_s()))
    values = registers.get(BIAS_DACS, left_s())
    dacs = bias_dacs(slot) if values is not None else ()
    found["bias_dacs_up"] = up = _up(values, dacs)
    if up:
        registers.put(BIAS_DACS, zeroed(values, up), left_s())
        values = registers.get(BIAS_DACS, left_s())
    after["bias_dacs_up"] = _up(values, dacs)
    if registers.wait_for(SESSION_ID, 0, left_s()):  # told to close, it still writes; the next one would find it open
        after[SESSION_ID] = _number(registers.get(SESSION_ID, left_s()))
    return {
        "epics_root": epics_root(slot),
        "found": found,
        "after": after,
        "unknown": [name for name, value in after.items() if value is None],
        "safe": all(value is not None and not value for value in after.values()),
        "text": _in_words(found, after),
    }


def bias_dacs(slot: str) -> tuple[int, ...]:
    """The numbers (1-32) of the DACs that bias detectors, by the slot's pysmurf configuration.

    The others hold the amplifiers' gates and drains and must keep their values. Where the configuration
    cannot be read, it is SMuRF's usual order: bias group g has DACs 2g+1 and 2g+2.
    """
    try:
        pairs = _configured_pairs(slot)
    except Exception:  # noqa: BLE001 - any fault of a configuration file; the card is to be made safe all the same
        pairs = [(2 * group + 1, 2 * group + 2) for group in range(_NUM_BIAS_GROUPS)]
    return tuple(sorted({int(dac) for pair in pairs for dac in pair}))


def zeroed(values: Iterable[Any], dacs: Iterable[int]) -> list[int]:
    """The values of all DACs with those of ``dacs`` (1-32) at zero."""
    numbers = [int(value) for value in values]
    for dac in dacs:
        numbers[dac - 1] = 0
    return numbers


def _configured_pairs(slot: str) -> list[Sequence[int]]:
    from pysmurf.client.base.smurf_config import SmurfConfig
    from sodetlib.det_config import DetConfig

    config = DetConfig()
    config.load_config_files(slot=SlotId.parse(slot).slot)
    return list(SmurfConfig.read_json(config.pysmurf_file)["bias_group_to_pair"].values())


def _up(values: Iterable[Any] | None, dacs: Sequence[int]) -> list[int] | None:
    """The numbers of the DACs that are not at zero; None where they could not be read."""
    if values is None:
        return None
    numbers = [int(value) for value in values]
    return [dac for dac in dacs if dac <= len(numbers) and numbers[dac - 1] != 0]


def _in_words(found: dict[str, Any], after: dict[str, Any]) -> str:
    """What was turned off, what is still on and what does not answer, in a line for people."""
    turned_off = [words for name, words in _WORDS.items() if found.get(name) and after.get(name) in (0, [])]
    still_on = [words for name, words in _WORDS.items() if after.get(name)]
    unknown = [_WORDS[name] for name, value in after.items() if value is None]
    parts = [
        f"{what}: {', '.join(words)}"
        for what, words in (
            ("turned off", turned_off),
            ("STILL ON", still_on),
            ("does not answer, may be on", unknown),
        )
        if words
    ]
    return "; ".join(parts) or "all was off"


def _number(value: Any) -> int | None:
    return None if value is None else int(value)
