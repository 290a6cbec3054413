"""The bias circuit divides the current correctly, even if the resistance depends on the current."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from smurfq.sim.detectors import population
from smurfq.sim.physics.circuit import BiasLines, branch_current, solve_current
from smurfq.sim.physics.tes import TesParameters, resistance


def test_a_line_carries_more_in_high_current() -> None:
    lines = BiasLines(16_400.0, 6.08)
    np.testing.assert_allclose(lines.current_a([16.4, -16.4], [False, True]), [1e-3, -6.08e-3])


def test_a_superconducting_sensor_shares_with_its_parasitic_resistance_only(tes: TesParameters) -> None:
    bias = np.full(40, 0.5e-3)
    current, r = solve_current(tes, np.full(40, tes.t_b), bias)
    np.testing.assert_allclose(current, bias * tes.r_sh / (tes.r_sh + tes.r_p))
    np.testing.assert_allclose(r, 0.0, atol=1e-12)


def test_an_infinite_resistance_takes_nothing(tes: TesParameters) -> None:
    assert (branch_current(tes, np.full(40, 1e-3), np.full(40, np.inf)) == 0).all()


@given(st.floats(-8e-3, 8e-3), st.floats(0.1, 0.3))
def test_current_and_resistance_agree_at_any_bias(bias: float, temperature: float) -> None:
    tes = population(3, 5).tes
    biases, temperatures = np.full(5, bias), np.full(5, temperature)
    current, r = solve_current(tes, temperatures, biases)
    np.testing.assert_allclose(r, resistance(tes, temperatures, current), rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(current * (tes.r_l + r), biases * tes.r_sh, rtol=1e-9, atol=1e-18)


def test_far_above_the_critical_current_a_cold_sensor_is_resistive(tes: TesParameters) -> None:
    _, r = solve_current(tes, np.full(40, tes.t_b), np.full(40, 7e-3))
    assert (r > 1e-4).all()
