"""A tone on a resonator: its error near the resonance, and the loop that follows it or does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smurfq.sim.physics.resonator import loaded_q, notch
from smurfq.sim.physics.squid import TWO_PI, shift
from smurfq.sim.physics.tone import Loop, Tones, error, followed, settle, transmissions, winds

F_R, Q, DEPTH = 5000.0, float(loaded_q(2e5, 5e4)), 0.8
SWING, LAMBDA = 0.09, 0.33
STEP = 0.005
LOOP = Loop(turns=5.0, cycles=5.0, start=0.02, end=0.98)
POSITION = np.linspace(0.0, 1.0, 200, endpoint=False, dtype=np.float64)
TURNED = 0.2 * np.exp(0.7j)  # what a chain does to the tone


def eta_of(f: float) -> complex:
    """Eta of a tone at ``f``, by the transmission on either side, of a resonator at the middle of its swing."""
    below, above = (
        complex(TURNED * notch(np.asarray(f + d), *map(np.asarray, (F_R, Q, DEPTH)))) for d in (-STEP, STEP)
    )
    return 2 * STEP / (above - below)


def tone(f: float = F_R, *, phase: float = 0.3, swing: float = SWING, eta: complex | None = None) -> Tones:
    """One tone, on one resonator."""
    one = np.ones((1, 1))
    return Tones(
        f=np.array([f]),
        eta=np.array([eta_of(F_R) if eta is None else eta]),
        line=np.array([TURNED]),
        follows=np.array([True]),
        f_r=F_R * one,
        q=Q * one,
        depth=DEPTH * one.astype(np.complex128),
        squid_lambda=LAMBDA * one,
        swing=swing * one,
        phase=phase * one,
    )


@given(st.floats(-0.005, 0.005))
def test_near_the_resonance_the_error_is_its_distance(away_mhz: float) -> None:
    still = tone(F_R - away_mhz, swing=1e-12)
    measured = error(still, transmissions(still, np.zeros((1, 1)), np.zeros(1), 0.0))[0, 0]
    assert measured == pytest.approx(away_mhz, rel=0.05, abs=1e-6)


@given(st.floats(-0.4, 0.4))
def test_further_away_the_error_still_points_to_the_resonance(away_mhz: float) -> None:
    still = tone(F_R - away_mhz, swing=1e-12)
    measured = error(still, transmissions(still, np.zeros((1, 1)), np.zeros(1), 0.0))[0, 0]
    assert abs(measured) <= abs(away_mhz) * 1.05 + 1e-9
    assert measured * away_mhz >= -1e-9


@pytest.mark.parametrize("phase", [0.0, 1.1, 4.0])
def test_the_loop_follows_the_resonance_over_the_ramp(phase: float) -> None:
    one = tone(phase=phase)
    moved = followed(settle(one, LOOP), LOOP, POSITION)[0]
    true = shift(phase + TWO_PI * 5 * POSITION, np.asarray(LAMBDA), np.asarray(SWING))
    assert np.abs(moved - true).max() < 0.01 * SWING
    left = error(one, transmissions(one, moved[None], POSITION, LOOP.turns))
    assert np.ptp(left) < 0.02 * SWING


def test_an_open_loop_shows_the_resonance_in_the_error() -> None:
    one = tone()
    open_loop = replace(LOOP, on=False)
    coefficients = settle(one, open_loop)
    assert not coefficients.any()
    left = error(one, transmissions(one, np.zeros((1, POSITION.size)), POSITION, LOOP.turns))[0]
    assert np.ptp(left) > 0.5 * SWING
    assert np.argmax(np.abs(np.fft.rfft(left - left.mean()))) == 5  # periods in a ramp


def test_a_tone_that_may_not_be_moved_stays() -> None:
    fixed = replace(tone(), follows=np.array([False]))
    assert not settle(fixed, LOOP).any()
    assert not winds(fixed, LOOP, 0.003).any()


def test_a_locked_tone_turns_with_the_flux() -> None:
    assert winds(tone(), LOOP, 0.003).all()


@pytest.mark.parametrize(
    ("one", "loop"),
    [
        pytest.param(tone(), replace(LOOP, turns=0.0), id="no ramp"),
        pytest.param(tone(), replace(LOOP, cycles=0.0), id="no carrier"),
        pytest.param(tone(), replace(LOOP, cycles=2.0), id="another carrier"),
        pytest.param(tone(), replace(LOOP, on=False), id="open loop"),
        pytest.param(tone(swing=0.001), LOOP, id="dead SQUID"),
        pytest.param(tone(eta=0.0), LOOP, id="never calibrated"),
        pytest.param(tone(eta=-eta_of(F_R)), LOOP, id="eta turned by half"),
        pytest.param(tone(F_R + 5.0), LOOP, id="no resonance"),
    ],
)
def test_a_tone_that_is_not_locked_is_reported(one: Tones, loop: Loop) -> None:
    assert not winds(one, loop, 0.003).any()


def test_the_loop_never_moves_a_tone_beyond_its_limit() -> None:
    wild = tone(eta=-5 * eta_of(F_R))
    assert np.abs(followed(settle(wild, LOOP), LOOP, POSITION)).max() <= LOOP.limit_mhz
