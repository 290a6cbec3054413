"""The chain: attenuators, tone power, amplifiers and delay."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smurfq.sim.radio.chain import TONE_POWER, Chain, delays_of

STEPS = st.integers(0, 31)
POWERS = st.integers(1, 15)


@given(STEPS, STEPS, POWERS)
def test_two_steps_of_attenuation_are_a_decibel(up: int, down: int, power: int) -> None:
    loud, soft = Chain(up, down).gain(power), Chain(min(31, up + 2), down).gain(power)
    steps = min(31, up + 2) - up
    assert 20 * np.log10(loud / soft) == pytest.approx(steps * 0.5)
    assert Chain(up, down).gain(power) == pytest.approx(Chain(down, up).gain(power))


@given(STEPS, st.integers(1, 14))
def test_more_power_gives_less_noise_for_its_size(up: int, power: int) -> None:
    assert Chain(up).noise_factor(power + 1) < Chain(up).noise_factor(power)


def test_attenuation_before_the_resonators_costs_signal_and_behind_them_hardly() -> None:
    usual = Chain().noise_factor(TONE_POWER)
    assert usual == pytest.approx(1.0)
    assert Chain(up=25).noise_factor(TONE_POWER) > 1.5
    assert Chain(down=25).noise_factor(TONE_POWER) < 1.1


def test_without_amplifiers_nothing_is_left_to_find() -> None:
    lost = replace(Chain(0, 0), amplifier_loss_db=60.0)
    assert lost.gain(TONE_POWER) < 0.01
    assert replace(Chain(), amplifier_loss_db=60.0).noise_factor(TONE_POWER) > 10


def test_no_tone_passes_nothing() -> None:
    assert Chain().gain(0) == 0.0


@pytest.mark.parametrize("band", range(8))
def test_compensation_takes_the_slope_of_the_phase_away(band: int) -> None:
    delays = delays_of(band)
    f = np.linspace(-2.4, 2.4, 50, dtype=np.float64)

    def slope(delay_us: float) -> float:
        phase = np.unwrap(np.angle(Chain(delay_us=delay_us).turned(f, delays)))
        return float(-np.polyfit(f, phase, 1)[0] / (2 * np.pi))

    assert slope(0.0) == pytest.approx(delays.total_us)
    assert slope(delays.total_us) == pytest.approx(0.0, abs=1e-12)
    assert delays.total_us > 1.0  # pysmurf measures at a compensation of 1 and takes the size of what is left
