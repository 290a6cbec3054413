"""The policies by which a card is made safe after a run, and the note of what a run left on."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

MAKE_SAFE = "make_safe"  # the internal operation; it cannot be submitted, so it is not in the operations table
NOTHING_LEFT_ON = "nothing is on that was off at the start"  # the text if a run switched nothing on


class CardAfter(StrEnum):
    """The policy for the card after a run."""

    LOOK = "look"  # after a success: the record lists what the run left on
    RESTORE = "restore"  # after a failure or abort: smurfq switches off what the run switched on
    OFF = "off"  # after a kill or a crash: smurfq switches off the stream, waveforms and biases, whoever started them


@dataclass(frozen=True)
class LeftOn:
    """A note of what a run left on: a text, the expected state, and the bias DACs after the run.

    Without an ``expected`` state, all must be off. ``session_id`` is empty if the run is not known.
    """

    text: str
    session_id: str
    op_name: str
    time: float
    expected: dict[str, Any] = field(default_factory=dict)
    bias_dacs: list[int] | None = None
    is_unsafe: bool = False  # it must be off: the next run first tries again to switch it off

    def to_dict(self) -> dict[str, Any]:
        """Return the note as a JSON object."""
        return asdict(self)

    def __str__(self) -> str:
        run = f"{self.op_name} {self.session_id[:8]}".rstrip()
        return f"left on by {run}: {self.text}"


def turn_off_hint(slot: str, left_on: str) -> str:
    """Return the commands that turn off the streams, waveforms, biases and high-current mode in ``left_on``, or ''."""
    hints = []
    if any(word in left_on for word in ("streaming", "g3 file", "waveform")):
        hints.append(f"{close_stream_command(slot)} closes streams and stops waveforms")
    if "high-current mode" in left_on:
        hints.append(f"`smurfq submit set_biases -s {slot} -p bias=0` zeroes the biases, in low-current mode")
    elif "biases" in left_on:
        hints.append(f"`smurfq submit zero_biases -s {slot}` zeroes the biases")
    return ", ".join(hints)


def close_stream_command(slot: str) -> str:
    """Return the command that closes a slot's streams and does not change tones, biases and amplifiers."""
    return f"`smurfq submit all_off -s {slot} -p disable_amps=false -p disable_tones=false`"
