"""Leaves the card safe after a run: closes its stream, stops its waveforms, restores its biases and relays.

It runs in a process of its own, because the operation's process is gone. It uses EPICS directly, because a hung card
is a common reason for a kill. docs/decisions/0023-the-card-after-a-run.md gives the reasons for each policy.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, Final

from smurfq.core.card_after import CardAfter
from smurfq.smurf_control import biases
from smurfq.smurf_control.card_state import (
    CARD_REGISTERS,
    RELAY_REGISTERS,
    SWITCHES,
    TONE_REGISTERS,
    CardState,
    look_at_card,
    number,
    numbers,
    read_relays,
    read_tones,
    write_relays,
)
from smurfq.smurf_control.registers import BIAS_DACS, SESSION_ID, Registers, epics_root
from smurfq.smurf_control.state_changes import WORDS, summary, switched_on

BUDGET_S: Final = 10.0
_STEP_S: Final = 2.0
_CONNECT_S: Final = 4.0  # a server that is there answers within milliseconds, unless the machine is overloaded
_CLOSES_WITHIN_S: Final = 3.0


def make_safe(
    slot: str,
    policy: CardAfter = CardAfter.OFF,
    start: CardState | None = None,
    noted_dacs: list[int] | None = None,
) -> dict[str, Any]:
    """Make the card of a run safe, and return what was found, done and read back.

    This takes at most ``BUDGET_S`` seconds, also if the card does not answer. In the findings, ``safe`` is true if
    every part that had to be off was read back as off. ``unknown`` lists the parts that do not answer, ``left_on`` is a
    text that names the parts that are on and were off at the start.

    Parameters
    ----------
    slot
        The slot's id, as ``crate1slot2``.
    policy
        What to switch off; see `CardAfter`.
    start
        The card's state at the start of the run.
    noted_dacs
        The bias DACs after an earlier run. A bias that has changed since then does not count as left on by that run.
    """
    return _MakeSafe(slot, policy, start or CardState()).run(noted_dacs)


def close_streams(slot: str, closes_within_s: float) -> dict[str, Any]:
    """Close an open stream and stop waveforms, whoever started them, and return findings like `make_safe`.

    A streamer that is behind may need up to ``closes_within_s`` seconds to finish its g3 file.
    """
    off = replace(look_at_card(slot), streaming=0, g3_file=0, session_id=0, playback=0)
    return _MakeSafe(slot, CardAfter.RESTORE, off, closes_within_s).run(None)


class _MakeSafe:
    def __init__(
        self, slot: str, policy: CardAfter, start: CardState, closes_within_s: float = _CLOSES_WITHIN_S
    ) -> None:
        self._slot = slot
        self._policy = policy
        self._start = start
        self._closes_within_s = closes_within_s
        self._deadline = time.monotonic() + BUDGET_S - _CLOSES_WITHIN_S + closes_within_s
        optional = [*(RELAY_REGISTERS if start.relays is not None else ())]
        optional += TONE_REGISTERS if start.tones is not None and policy is not CardAfter.OFF else ()
        self._registers = Registers(slot, (*CARD_REGISTERS, *optional), _CONNECT_S)
        self._found: dict[str, Any] = {}
        self._after: dict[str, Any] = {}

    def run(self, noted_dacs: list[int] | None) -> dict[str, Any]:
        # A DAC keeps what was played last, so what stood on it before is put again.
        before = None if self._policy is CardAfter.OFF else self._numbers()
        if noted_dacs is not None and before != noted_dacs:
            self._start = replace(self._start, bias_dacs=before)
        self._found["session_id"] = self._get(SESSION_ID)
        played = self._switch_off()
        self._put_back(before, played)
        self._wait_until_closed()
        if self._start.tones is not None and self._policy is not CardAfter.OFF:
            self._found["tones"] = self._after["tones"] = read_tones(self._registers, self._left_s)
        return self._findings()

    @cached_property
    def _pairs(self) -> biases.Pairs:
        """The DACs of each bias group; a worker that has not preloaded sodetlib imports it here, outside the budget."""
        began = time.monotonic()
        pairs = biases.bias_pairs(self._slot)
        self._deadline += time.monotonic() - began
        return pairs

    def _left_s(self) -> float:
        return max(0.05, min(_STEP_S, self._deadline - time.monotonic()))

    def _get(self, register: str) -> int | None:
        return number(self._registers.get(register, self._left_s()))

    def _numbers(self) -> list[int] | None:
        return numbers(self._registers.get(BIAS_DACS, self._left_s()))

    def _switch_off(self) -> bool:
        """Switch off stream and playback, where that is to be; whether playback was."""
        for name, register in SWITCHES.items():
            self._found[name] = self._after[name] = self._get(register)
            if self._is_to_be_off(name):
                self._registers.put(register, 0, self._left_s())
                self._after[name] = self._get(register)
        return bool(self._found["playback"] and self._after["playback"] == 0)

    def _is_to_be_off(self, name: str) -> bool:
        if self._policy is CardAfter.RESTORE:
            known = getattr(self._start, name) is not None
            return known and name in self._switched_on(self._start, self._found)
        return self._policy is CardAfter.OFF

    def _put_back(self, before: list[int] | None, played: bool) -> None:
        """Put biases and relays as they are to be; biases are zero while relays move."""
        found = before if before is not None else self._numbers()
        relays = read_relays(self._registers, self._left_s) if self._start.relays is not None else None
        self._found |= {"bias_dacs": found, "relays": relays}
        self._after |= {"bias_dacs": found, "relays": relays}
        if self._policy is CardAfter.LOOK or found is None:
            return
        moves = relays is not None and relays != self._start.relays
        wanted = zero = biases.zeroed(found, self._pairs)
        if self._policy is CardAfter.RESTORE:
            wanted = biases.put_back(found, self._start.bias_dacs, self._pairs, rescaled=moves)
        if moves:
            self._registers.put(BIAS_DACS, zero, self._left_s())
            write_relays(self._registers, self._start.relays or 0, self._left_s)
            self._after["relays"] = read_relays(self._registers, self._left_s)
        if moves or wanted != found or (played and self._policy is CardAfter.RESTORE):
            self._registers.put(BIAS_DACS, wanted, self._left_s())
            self._after["bias_dacs"] = self._numbers()

    def _wait_until_closed(self) -> None:
        """Wait for the g3 file: told to close, it is still written, and the next run would find its session open."""
        closes = self._found["g3_file"] and self._after["g3_file"] == 0
        if closes or self._policy is CardAfter.OFF:
            within_s = max(0.05, min(self._closes_within_s, self._deadline - time.monotonic()))
            self._registers.wait_for(SESSION_ID, 0, within_s)
        self._after["session_id"] = self._get(SESSION_ID)

    def _findings(self) -> dict[str, Any]:
        expected = CardState(0, 0, 0, 0, [0] * 32, self._start.relays) if self._policy is CardAfter.OFF else self._start
        unknown = [name for name in (*SWITCHES, "bias_dacs") if self._after[name] is None]
        found, after = (self._switched_on(expected, state) for state in (self._found, self._after))
        on = [words for name, words in after.items() if name != "tones"]
        return {
            "epics_root": epics_root(self._slot),
            "policy": self._policy.value,
            "expected": expected.to_dict(),
            "found": self._found,
            "after": self._after,
            "unknown": unknown,
            "left_on": ", ".join([*on, *(f"{WORDS[name]} (does not answer)" for name in unknown)]),
            "safe": not unknown and not on,
            "text": summary(self._policy, expected, found, after, unknown),
        }

    def _switched_on(self, start: CardState, state: Mapping[str, Any]) -> dict[str, str]:
        is_silent = state.get("bias_dacs") is None  # nothing is imported for a card that does not answer
        return switched_on(start, state, () if is_silent else self._pairs)
