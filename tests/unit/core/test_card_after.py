"""The commands that turn off what a run left on its card."""

from __future__ import annotations

import pytest

from smurfq.core.card_after import turn_off_hint

STREAMS = "`smurfq submit all_off -s crate1slot2 -p disable_amps=false -p disable_tones=false`"
BIASES = "`smurfq submit zero_biases -s crate1slot2`"
LOW_CURRENT = "`smurfq submit set_biases -s crate1slot2 -p bias=0` zeroes the biases, in low-current mode"


@pytest.mark.parametrize(
    ("left_on", "commands"),
    [
        ("streaming, the g3 file (session 1795827364)", {STREAMS}),
        ("waveform playback", {STREAMS}),
        ("biases of groups 0-11 (3 V)", {BIASES}),
        ("streaming, biases of groups 0-11 (3 V)", {STREAMS, BIASES}),
        ("biases of groups 0 (3 V), high-current mode of bias groups 0-2", {LOW_CURRENT}),
    ],
)
def test_each_thing_left_on_has_its_command(left_on: str, commands: set[str]) -> None:
    hint = turn_off_hint("crate1slot2", left_on)
    assert {command for command in (STREAMS, BIASES, LOW_CURRENT) if command in hint} == commands


def test_there_is_no_hint_if_no_command_turns_it_off() -> None:
    assert turn_off_hint("crate1slot2", "unknown: make_safe failed") == ""
