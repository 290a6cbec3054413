"""The resonators of a slot: repeatable, spaced as on chips, with the true results of a setup."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from smurfq.sim.detectors import population
from smurfq.sim.radio import resonators as r
from smurfq.sim.registers import band_center_mhz, sub_band_mhz


@pytest.fixture(scope="module")
def full() -> tuple[r.Resonators, dict[str, npt.NDArray[Any]]]:
    detectors = population(1)
    found = r.resonators_of(detectors, 1)
    return found, r.truth(found, detectors)


def test_a_seed_makes_the_same_resonators_again() -> None:
    detectors = population(1, 80)
    one, again, other = (r.resonators_of(detectors, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.frequency_mhz, again.frequency_mhz)
    assert not np.intersect1d(one.frequency_mhz, other.frequency_mhz).size


def test_every_detector_has_one_resonator_in_its_channels_sub_band(
    full: tuple[r.Resonators, dict[str, npt.NDArray[Any]]],
) -> None:
    resonators, _ = full
    detectors = population(1)
    own = resonators.take(np.flatnonzero(resonators.detector != r.NO_DETECTOR))
    assert np.sort(own.detector).tolist() == list(range(len(detectors)))
    channel = detectors.channel[own.detector]
    middle = np.array([sub_band_mhz(one) for one in channel.tolist()]) + 4250 + 500 * own.band
    assert np.abs(own.frequency_mhz - middle).max() < 0.36
    np.testing.assert_array_equal(own.phase_offset, detectors.phase_offset[own.detector])


def test_they_are_spaced_as_on_chips_with_some_that_give_trouble(
    full: tuple[r.Resonators, dict[str, npt.NDArray[Any]]],
) -> None:
    resonators, truth = full
    kinds = {kind: int((resonators.kind == kind).sum()) for kind in np.unique(resonators.kind).tolist()}
    assert 10 < kinds[r.DEAD_SQUID] < 60
    assert 10 < kinds[r.COLLIDES] < 80
    assert kinds[r.COLLIDES] % 2 == 0
    assert 10 < kinds[r.LOSSY] < 60
    assert kinds.get(r.OFF_THE_EDGE, 0) < 15
    good = truth["nearest_mhz"][resonators.kind == r.GOOD]
    assert 0.9 < np.median(good) < 2.5
    assert (truth["nearest_mhz"][resonators.kind == r.COLLIDES] < 0.2).all()
    for band in range(8):
        here = resonators.frequency_mhz[resonators.band == band]
        gaps = np.sort(np.diff(here))
        assert (gaps[-3:] > 10.0).all()  # between the chips, where fixed tones find room
        assert here.min() > band_center_mhz(band) - 250
        assert 200 < here.size < 240


def test_the_truth_gives_each_channel_once_and_none_to_what_collides(
    full: tuple[r.Resonators, dict[str, npt.NDArray[Any]]],
) -> None:
    resonators, truth = full
    given = truth["channel"] >= 0
    where = resonators.band[given] * 512 + truth["channel"][given]
    assert np.unique(where).size == where.size
    assert not given[np.isin(resonators.kind, [r.COLLIDES, r.OFF_THE_EDGE])].any()
    detectors = population(1)
    own = given & (resonators.detector >= 0)
    assert own.sum() == len(detectors)
    np.testing.assert_array_equal(truth["channel"][own], detectors.channel[resonators.detector[own]])


def test_current_is_flux_and_moves_the_resonance() -> None:
    detectors = population(2, 40)
    resonators = r.resonators_of(detectors, 2)
    still, half = np.zeros(40), np.full(40, 0.5)
    moved = np.abs(
        resonators.notches(resonators.phase_rad(half)).f_r - resonators.notches(resonators.phase_rad(still)).f_r
    )
    assert moved.max() <= 0.111  # half a turn: from where it is to the other side of its swing
    assert np.median(moved) > 0.02
    whole = resonators.notches(resonators.phase_rad(np.ones(40)))
    np.testing.assert_allclose(whole.f_r, resonators.notches(resonators.phase_rad(still)).f_r)


def test_the_truth_can_be_read_without_smurfq(tmp_path: Path) -> None:
    detectors = population(2, 40)
    resonators = r.resonators_of(detectors, 2)
    path = r.write_truth(resonators, detectors, tmp_path / "slot")
    with np.load(path, allow_pickle=False) as found:
        assert set(found) == set(r.truth(resonators, detectors))
        assert found["kind"].tolist() == resonators.kind.tolist()
        assert (np.diff(found["frequency_mhz"]) > -0.2).all()


@pytest.mark.parametrize("n", [1, 5, 8 * 416])
def test_small_and_full_slots_have_resonators(n: int) -> None:
    assert len(r.resonators_of(population(1, n), 1)) >= n
