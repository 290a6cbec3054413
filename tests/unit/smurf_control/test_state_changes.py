"""The changes that a run made to its card, compared with the state at its start."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from smurfq.core.card_after import CardAfter
from smurfq.core.card_wiring import Wiring
from smurfq.smurf_control.biases import COUNT_V, put_back, raised, zeroed
from smurfq.smurf_control.card_state import CardState
from smurfq.smurf_control.state_changes import state_of, summary, switched_on

PAIRS = {0: (1, 2), 1: (3, 4), 2: (5, 6)}
WIRING = Wiring(PAIRS, {0: 0, 1: 2, 2: 1}, (0, 1))
QUIET = CardState(0, 0, 0, 0, [0] * 8, 0, [10, 0])


def dacs(*volts: float) -> list[int]:
    """The counts of 8 DACs with these voltages on the bias groups; the last two are an amplifier's."""
    counts = [0] * 6 + [77, 78]
    for (plus, minus), value in zip(PAIRS.values(), volts, strict=True):
        counts[plus - 1], counts[minus - 1] = round(value / 2 / COUNT_V), -round(value / 2 / COUNT_V)
    return counts


def on(start: CardState, **now: Any) -> dict[str, str]:
    """What is switched on in a state that differs from the start by ``now``."""
    return switched_on(start, {**start.to_dict(), **now}, WIRING)


@pytest.mark.parametrize(
    ("start_v", "now_v", "is_raised"),
    [
        (0.0, 3.0, True),
        (2.0, 10.0, True),
        (2.0, 2.0, False),
        (2.0, 1.0, False),
        (2.0, 0.0, False),
        (2.0, -1.0, True),
        (-2.0, -3.0, True),
        (-2.0, -1.0, False),
    ],
)
def test_only_a_bias_with_more_voltage_than_at_the_start_is_put_back(
    start_v: float, now_v: float, is_raised: bool
) -> None:
    start, now = dacs(0.0, start_v, 1.0), dacs(0.0, now_v, 1.0)
    assert raised(now, start, PAIRS) == ([1] if is_raised else [])
    assert put_back(now, start, PAIRS) == (start if is_raised else now)


def test_amplifiers_are_never_touched() -> None:
    assert zeroed(dacs(1.0, 2.0, 3.0), PAIRS) == dacs(0.0, 0.0, 0.0)
    assert put_back(dacs(9.0, 9.0, 9.0), [0] * 8, PAIRS)[6:] == [77, 78]


def test_biases_of_another_current_mode_go_back_unless_they_are_zero() -> None:
    start, now = dacs(6.0, 6.0, 6.0), dacs(1.0, 0.0, 1.0)
    assert put_back(now, start, PAIRS, rescaled=[0, 1]) == dacs(6.0, 0.0, 1.0)


def test_relays_that_were_high_at_the_start_or_are_low_are_not_switched_on() -> None:
    assert on(replace(QUIET, relays=0b011), relays=0b010) == {}
    assert on(replace(QUIET, relays=None), relays=0b110) == {"relays": "high-current mode of bias groups 1-2"}
    assert on(QUIET, relays=0b1001) == {"relays": "high-current mode of bias groups 0 and relays 3 of no group"}


def test_biases_stay_where_the_start_is_not_known() -> None:
    assert put_back(dacs(9.0, 9.0, 9.0), None, PAIRS) == dacs(9.0, 9.0, 9.0)


def test_the_summary_omits_what_was_on_before_the_run() -> None:
    observing = CardState(1, 1, 1700, 0, dacs(2.0, 2.0, 2.0), 0, [10, 0])
    assert on(observing) == {}
    assert summary(CardAfter.RESTORE, observing, {}, {}, []) == "nothing is on that was off at the start"


def test_a_stream_of_another_session_than_that_at_the_start_is_the_runs() -> None:
    observing = CardState(1, 1, 1700, 0, [0] * 8, 0, [10, 0])
    assert on(observing, session_id=1800) == {"streaming": "streaming", "g3_file": "the g3 file (session 1800)"}


def test_the_summary_names_what_a_run_switched_on() -> None:
    found = on(QUIET, g3_file=1, session_id=17, playback=1, bias_dacs=dacs(3.0, 0.0, 3.0), relays=3, tones=[10, 4])
    assert list(found.values()) == [
        "the g3 file (session 17)",
        "waveform playback",
        "biases of groups 0, 2 (3 V)",
        "high-current mode of bias groups 0, 2",
        "4 in band 1",
    ]
    after = {"tones": found["tones"]}
    text = summary(CardAfter.RESTORE, QUIET, found, after, ["streaming"])
    assert text == (
        "turned off: the g3 file (session 17), waveform playback, high-current mode of bias groups 0, 2; "
        "restored to their values at the start: biases of groups 0, 2 (3 V); "
        "with more tones than at the start: 4 in band 1; does not answer, may be on: streaming"
    )


def test_the_summary_is_uncertain_if_the_state_at_the_start_is_unknown() -> None:
    found = switched_on(CardState(), {"streaming": 1, "g3_file": 0}, WIRING)
    text = summary(CardAfter.RESTORE, CardState(), found, found, [])
    assert text == "on now, and perhaps at the start too: streaming"


def test_a_state_survives_its_way_to_another_process() -> None:
    state = replace(QUIET, bias_dacs=None)
    assert state_of(state.to_dict()) == state
    assert state_of({}) == CardState()
