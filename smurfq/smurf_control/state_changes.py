"""Compares a card with its state at the start of a run, and describes what the run switched on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Final

from smurfq.core.card_after import NOTHING_LEFT_ON, CardAfter
from smurfq.core.card_wiring import Wiring, ranges
from smurfq.smurf_control.biases import Pairs, raised, voltages
from smurfq.smurf_control.card_state import CardState

WORDS: Final = {
    "streaming": "streaming",
    "g3_file": "the g3 file",
    "session_id": "the g3 file's session",
    "playback": "waveform playback",
    "bias_dacs": "biases",
    "relays": "high-current mode",
}
_STILL_ON: Final = {CardAfter.LOOK: "left on", CardAfter.RESTORE: "STILL ON", CardAfter.OFF: "STILL ON"}
_ON_NOW: Final = "on now, and perhaps at the start too"


def switched_on(start: CardState, state: Mapping[str, Any], wiring: Wiring) -> dict[str, str]:
    """Return what is on in ``state`` and was not on, or was not known, at the ``start``.

    The result has a description for each name in CardState. A stream of another session than at the start counts as
    switched on.
    """
    session = state.get("session_id")
    is_new_session = bool(session) and session != start.session_id
    found: dict[str, str] = {}
    for name in ("streaming", "g3_file", "playback"):
        is_of_session = is_new_session and start.session_id is not None and name != "playback"
        if state.get(name) and (not getattr(start, name) or is_of_session):
            found[name] = WORDS[name]
    if is_new_session:
        if "g3_file" in found:
            found["g3_file"] += f" (session {session})"
        else:
            found["session_id"] = f"{WORDS['session_id']} {session}"
    if text := _biases(start.bias_dacs, state.get("bias_dacs"), wiring.bias_pairs):
        found["bias_dacs"] = text
    if raised_relays := (state.get("relays") or 0) & ~(start.relays or 0):
        found["relays"] = f"{WORDS['relays']} of {wiring.in_words(raised_relays)}"
    if text := _tones(start.tones, state.get("tones")):
        found["tones"] = text
    return found


def summary(
    policy: CardAfter,
    expected: CardState,
    found: Mapping[str, str],
    after: Mapping[str, str],
    unknown: Sequence[str],
) -> str:
    """Return a line for people: what was done, and what is still on; ``unknown`` is what does not answer."""
    back = "bias_dacs" if policy is CardAfter.RESTORE else None
    gone = {name: words for name, words in found.items() if name not in after}
    parts = {
        "turned off": [words for name, words in gone.items() if name != back],
        "restored to their values at the start": [words for name, words in gone.items() if name == back],
        _STILL_ON[policy] if expected != CardState() else _ON_NOW: [after[name] for name in after if name != "tones"],
        "with more tones than at the start": [after[name] for name in after if name == "tones"],
        "does not answer, may be on": unknown,
    }
    text = "; ".join(f"{what}: {', '.join(words)}" for what, words in parts.items() if words)
    return text or ("all was off" if policy is CardAfter.OFF else NOTHING_LEFT_ON)


def state_of(values: Mapping[str, Any]) -> CardState:
    """Rebuild a state from the result of ``CardState.to_dict``."""
    return CardState(**{field.name: values.get(field.name) for field in fields(CardState)})


def _biases(start: Sequence[int] | None, now: Sequence[int] | None, pairs: Pairs) -> str:
    if now is None:
        return ""
    groups = raised(now, start if start is not None else [0] * len(now), pairs)
    if not groups:
        return ""
    volts = sorted({round(voltages(now, pairs)[group], 2) for group in groups})
    text = f"{volts[0]:g} V" if len(volts) == 1 else f"{volts[0]:g} to {volts[-1]:g} V"
    return f"biases of groups {ranges(groups)} ({text})"


def _tones(start: Sequence[int] | None, now: Sequence[int] | None) -> str:
    if now is None:
        return ""
    more = {band: count - then for band, (count, then) in enumerate(zip(now, start or [0] * len(now), strict=True))}
    return ", ".join(f"{count} in band {band}" for band, count in more.items() if count > 0)
