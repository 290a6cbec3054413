"""The voltages of the slow DACs over time, from values put and tables played."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from smurfq.sim.dacs import SlowDacs
from smurfq.sim.registers import TABLE_SIZE
from smurfq.sim.waveforms import BIT_V, TICK_S, biases_at

STEP = np.where(np.arange(TABLE_SIZE) < TABLE_SIZE // 2, 100, 200)


@given(st.lists(st.tuples(st.integers(1, 24), st.integers(-(2**19), 2**19 - 1)), max_size=20))
def test_each_time_shows_what_was_put_last_before_it(puts: list[tuple[int, int]]) -> None:
    dacs = SlowDacs(0.0)
    expected = np.zeros(32, np.int64)
    seen = []
    for number, (dac, bits) in enumerate(puts, start=1):
        dacs.set_dac(dac, bits, float(number))
        expected[dac - 1] = bits
        seen.append((expected[0:24:2] - expected[1:24:2]) // 2)
    times = np.arange(1, len(puts) + 1, dtype=np.float64) + 0.5
    found = biases_at(dacs.states(), times).bits
    assert np.array_equal(found.T, np.array(seen).reshape(-1, 12))


def test_a_bias_is_what_pysmurf_calls_a_volt() -> None:
    dacs = SlowDacs(0.0)
    bits = int(2.5 / BIT_V)
    dacs.set_dac(7, bits, 1.0)
    dacs.set_dac(8, -bits, 2.0)
    volts = biases_at(dacs.states(), np.array([0.5, 1.5, 2.5])).volts[3]
    assert np.allclose(volts, [0, 2.5, 5.0], atol=2 * BIT_V)


def test_relays_put_groups_into_high_current() -> None:
    dacs = SlowDacs(0.0)
    dacs.set_relays(1 << 11 | 1 << 16, 1.0)
    found = biases_at(dacs.states(), np.array([0.5, 1.5]))
    assert found.high_current[11].tolist() == [False, True]
    assert not found.high_current[:11].any()
    assert found.relays.tolist() == [0, 1 << 11 | 1 << 16]


def playing(now: float) -> SlowDacs:
    dacs = SlowDacs(0.0)
    dacs.set_timer(1000, now)
    dacs.address(0, 1, now)
    dacs.address(1, 2, now)
    dacs.load_table(0, STEP, now)
    dacs.load_table(1, -STEP, now)
    dacs.enable(3, now)
    dacs.set_continuous(True, now)
    return dacs


def test_tables_are_played_from_their_first_entries_over_and_over() -> None:
    dacs = playing(10.0)
    period_s = TABLE_SIZE * 1000 * TICK_S
    quarters = 10.0 + np.array([0.25, 0.75, 1.25, 1.75]) * period_s
    assert biases_at(dacs.states(), quarters).bits[0].tolist() == [100, 200, 100, 200]
    playback = dacs.states()[-1].playback
    assert playback is not None
    assert playback.period_s == period_s


def test_nothing_plays_before_it_is_continuous_and_a_stop_holds_the_last_value() -> None:
    dacs = playing(10.0)
    period_s = TABLE_SIZE * 1000 * TICK_S
    assert biases_at(dacs.states(), np.array([9.0])).bits[0, 0] == 0
    dacs.enable(0, 10.0 + 0.75 * period_s)
    assert not dacs.playing
    assert dacs.dacs[:2].tolist() == [200, -200]
    dacs.enable(3, 20.0)  # continuous stays, as on the card
    assert dacs.playing
    assert biases_at(dacs.states(), np.array([20.0 + 0.25 * period_s])).bits[0, 0] == 100


def test_a_new_table_does_not_start_the_play_again() -> None:
    dacs = playing(10.0)
    period_s = TABLE_SIZE * 1000 * TICK_S
    dacs.load_table(0, STEP + 5, 10.0 + 0.6 * period_s)
    assert biases_at(dacs.states(), np.array([10.0 + 0.75 * period_s])).bits[0, 0] == (205 + 200) // 2


def test_only_states_that_have_ended_are_discarded() -> None:
    dacs = SlowDacs(0.0)
    for time in (1.0, 2.0, 3.0):
        dacs.set_dac(1, int(time), time)
    dacs.forget(2.5)
    assert [state.since for state in dacs.states()] == [2.0, 3.0]
    dacs.forget(9.0)
    assert [state.since for state in dacs.states()] == [3.0]
