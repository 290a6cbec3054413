"""Resonators on a line: the closed forms of a notch, and a line with many of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smurfq.sim.physics.resonator import Notches, loaded_q, notch, transmission

F_R = 5000.0
Q_FACTORS = st.floats(1e3, 1e6)
WIDTHS_AWAY = st.floats(-1e4, 1e4)


def passed(q_i: float, q_c: float, widths_away: float, mismatch: float = 0.0) -> complex:
    """The transmission at so many bandwidths from a resonance."""
    q = loaded_q(q_i, q_c)
    f = np.asarray(F_R * (1 + widths_away / q))
    return complex(notch(f, np.asarray(F_R), q, np.asarray(q / q_c * np.exp(1j * mismatch))))


@given(Q_FACTORS, Q_FACTORS)
def test_at_its_bottom_a_notch_passes_what_the_losses_leave(q_i: float, q_c: float) -> None:
    assert passed(q_i, q_c, 0.0) == pytest.approx(float(loaded_q(q_i, q_c)) / q_i, rel=1e-9)


@given(Q_FACTORS, Q_FACTORS, WIDTHS_AWAY)
def test_a_notch_gives_out_no_more_power_than_it_gets(q_i: float, q_c: float, widths_away: float) -> None:
    forward = passed(q_i, q_c, widths_away)
    reflected = forward - 1.0  # of a shunt
    assert abs(forward) ** 2 + abs(reflected) ** 2 <= 1.0 + 1e-9


@given(Q_FACTORS, Q_FACTORS, WIDTHS_AWAY, st.floats(-1.0, 1.0))
def test_a_mismatched_notch_stays_on_its_circle(q_i: float, q_c: float, widths_away: float, mismatch: float) -> None:
    diameter = float(loaded_q(q_i, q_c)) / q_c
    center = 1.0 - 0.5 * diameter * np.exp(1j * mismatch)
    assert abs(passed(q_i, q_c, widths_away, mismatch) - center) == pytest.approx(0.5 * diameter, rel=1e-6)


@given(Q_FACTORS, Q_FACTORS, st.floats(0.0, 100.0), st.floats(1.01, 10.0))
def test_further_away_more_passes(q_i: float, q_c: float, widths_away: float, factor: float) -> None:
    near, far = passed(q_i, q_c, widths_away), passed(q_i, q_c, widths_away * factor)
    assert abs(far) >= abs(near) - 1e-12
    assert abs(passed(q_i, q_c, 1e9)) == pytest.approx(1.0)


def test_half_of_the_dip_in_power_is_half_a_bandwidth_away() -> None:
    bottom, edge = passed(2e5, 5e4, 0.0), passed(2e5, 5e4, 0.5)
    assert 1 - abs(edge) ** 2 == pytest.approx(0.5 * (1 - abs(bottom) ** 2))


def test_a_line_passes_the_product_of_all_its_notches() -> None:
    rng = np.random.default_rng(4)
    f_r = np.sort(rng.uniform(4000, 4500, 230))
    q = rng.uniform(2e4, 5e4, f_r.size)
    notches = Notches(f_r, q, 0.8 * np.exp(1j * rng.normal(0, 0.1, f_r.size)))
    f = rng.uniform(3980, 4520, (40, 50))  # in no order
    exact = np.prod(notch(f[..., None], notches.f_r, notches.q, notches.depth), axis=-1)
    np.testing.assert_allclose(transmission(f, notches), exact, atol=1e-4)


def test_a_line_without_resonators_passes_all() -> None:
    none = Notches(np.zeros(0), np.zeros(0), np.zeros(0, np.complex128))
    assert (transmission(np.linspace(4000, 4001, 7, dtype=np.float64), none) == 1).all()
    assert transmission(np.zeros(0), none).size == 0
