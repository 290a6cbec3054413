"""Leaves the card safe after a run: closes its stream, stops its waveforms, restores its biases, lowers its relays.

It runs in a process of its own, because the operation's process is gone. It uses EPICS directly, because a hung card
is a common reason for a kill. docs/decisions/0023-the-card-after-a-run.md gives the reasons for each policy.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from smurfq.core.card_after import CardAfter
from smurfq.core.card_wiring import ranges
from smurfq.smurf_control import biases
from smurfq.smurf_control.card_state import (
    CARD_REGISTERS,
    NO_CRYOCARD,
    RELAY_REGISTERS,
    SWITCHES,
    CardState,
    look_at_card,
    number,
    numbers,
    read_firmware_major,
    read_relays,
    read_tones,
    tone_registers,
    write_relays,
)
from smurfq.smurf_control.registers import BIAS_DACS, SESSION_ID, Registers, epics_root
from smurfq.smurf_control.state_changes import WORDS, summary, switched_on
from smurfq.smurf_control.wiring import wiring_of

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
        self._wiring = wiring_of(slot)
        if policy is CardAfter.RESTORE and start.relays is not None:
            self._start = replace(start, relays=self._relays_in_use(start) & start.relays)
        self._compares_tones = start.tones is not None and policy is not CardAfter.OFF
        tones = tone_registers(self._wiring.bands) if self._compares_tones else ()
        self._registers = Registers(slot, (*CARD_REGISTERS, *RELAY_REGISTERS, *tones), _CONNECT_S)
        self._found: dict[str, Any] = {}
        self._after: dict[str, Any] = {}
        self._has_no_cryocard = False

    def run(self, noted_dacs: list[int] | None) -> dict[str, Any]:
        # A DAC keeps what was played last, so what stood on it before is put again.
        before = None if self._policy is CardAfter.OFF else self._numbers()
        if noted_dacs is not None and before != noted_dacs:
            self._start = replace(self._start, bias_dacs=before)
        self._found["session_id"] = self._get(SESSION_ID)
        played = self._switch_off()
        self._put_back(before, played)
        self._wait_until_closed()
        if self._compares_tones:
            tones = read_tones(self._registers, self._wiring.bands, self._left_s)
            self._found["tones"] = self._after["tones"] = tones
        return self._findings()

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
            return known and name in switched_on(self._start, self._found, self._wiring)
        return self._policy is CardAfter.OFF

    def _put_back(self, before: list[int] | None, played: bool) -> None:
        """Put biases and relays as they are to be; biases are zero while relays move.

        After a kill, biases are set to zero before the cryocard is asked, which may hang.
        """
        found = before if before is not None else self._numbers()
        if self._policy is CardAfter.OFF and found is not None:
            self._put_biases(found, biases.zeroed(found, self._wiring.for_firmware(None).bias_pairs))
        if self._wiring.depends_on_firmware:
            self._wiring = self._wiring.for_firmware(read_firmware_major(self._registers, self._left_s))
        pairs = self._wiring.bias_pairs
        zero = None if found is None else biases.zeroed(found, pairs)
        relays = read_relays(self._registers, self._left_s)
        self._has_no_cryocard = relays is None and read_firmware_major(self._registers, self._left_s) == NO_CRYOCARD
        self._found |= {"bias_dacs": found, "relays": relays}
        self._after |= {"bias_dacs": found, "relays": relays}
        low = self._relays_to_be(relays)
        moves = low is not None and (low != relays or self._policy is CardAfter.OFF)
        if moves and low is not None:
            self._put_biases(None, zero)
            write_relays(self._registers, low, self._left_s)
            self._after["relays"] = read_relays(self._registers, self._left_s)
        if self._policy is CardAfter.RESTORE and found is not None:
            rescaled = self._wiring.groups_of(relays ^ low) if relays is not None and low is not None else []
            wanted = biases.put_back(found, self._start.bias_dacs, pairs, rescaled)
            self._put_biases(None if played or moves else found, wanted)
        if self._policy is not CardAfter.LOOK:
            self._after["bias_dacs"] = self._numbers()

    def _put_biases(self, now: list[int] | None, wanted: list[int] | None) -> None:
        if wanted is not None and wanted != now:
            self._registers.put(BIAS_DACS, wanted, self._left_s())

    def _relays_to_be(self, relays: int | None) -> int | None:
        """Return the relays that may stay high; None if none is to be put low. No relay is ever put high."""
        if self._policy is CardAfter.OFF:
            return 0
        if self._policy is CardAfter.LOOK or relays is None or self._start.relays is None:
            return None
        return relays & self._start.relays

    def _relays_in_use(self, start: CardState) -> int:
        """Return the relays of bias groups that had a bias at the start. All others are put low: no current changes."""
        pairs = self._wiring.bias_pairs
        biased = biases.raised(start.bias_dacs, [0] * len(start.bias_dacs), pairs) if start.bias_dacs else pairs
        return sum(1 << self._wiring.relays[group] for group in biased)

    def _wait_until_closed(self) -> None:
        """Wait for the g3 file: told to close, it is still written, and the next run would find its session open."""
        closes = self._found["g3_file"] and self._after["g3_file"] == 0
        if closes or self._policy is CardAfter.OFF:
            within_s = max(0.05, min(self._closes_within_s, self._deadline - time.monotonic()))
            self._registers.wait_for(SESSION_ID, 0, within_s)
        self._after["session_id"] = self._get(SESSION_ID)

    def _findings(self) -> dict[str, Any]:
        start = self._start
        # If the run found no cryocard, or if there is none and the start is not known, there are no relays.
        has_relays = start.relays is not None or (start == CardState() and not self._has_no_cryocard)
        if self._policy is CardAfter.OFF:
            expected = CardState(0, 0, 0, 0, [0] * 32, 0 if has_relays else None)
        else:
            expected = start
        asked = [*SWITCHES, "bias_dacs", *(["relays"] if has_relays else [])]
        unknown = [name for name in asked if self._after[name] is None]
        found, after = (switched_on(expected, state, self._wiring) for state in (self._found, self._after))
        on = [words for name, words in after.items() if name != "tones"]
        silent = [self._words(name) for name in unknown]
        return {
            "epics_root": epics_root(self._slot),
            "policy": self._policy.value,
            "expected": expected.to_dict(),
            "found": self._found,
            "after": self._after,
            "unknown": unknown,
            "left_on": ", ".join([*on, *(f"{words} (does not answer)" for words in silent)]),
            "safe": not unknown and not on,
            "text": "; ".join([summary(self._policy, expected, found, after, silent), *self._not_controlled()]),
        }

    def _words(self, name: str) -> str:
        """Return a part of the card in words; for the relays, the bias groups that may be in high-current mode."""
        return f"{WORDS[name]} of bias groups {ranges(self._wiring.relays)}" if name == "relays" else WORDS[name]

    def _not_controlled(self) -> Iterator[str]:
        """Yield in words what was high at the start and was left so, and what smurfq does not know or set."""
        if self._policy is CardAfter.LOOK:
            return
        if self._policy is CardAfter.RESTORE and (high := (self._after["relays"] or 0) & (self._start.relays or 0)):
            yield f"in {WORDS['relays']} since before this run: {self._wiring.in_words(high)}"
        if self._wiring.shared_groups:
            shared = ranges(self._wiring.shared_groups)
            yield f"not set, because their DACs drive amplifiers, or may: bias groups {shared}"
        if self._wiring.problem:
            yield f"the card's wiring is assumed to be the usual one, because {self._wiring.problem}"
