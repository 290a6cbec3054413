"""The detectors of a slot: repeatable, wired like a slot, with true values that agree with the closed forms."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from smurfq.sim.detectors import NO_BIAS_GROUP, Detectors, population, processed_channels, truth, write_truth
from smurfq.sim.physics.operating_point import at_bias
from smurfq.sim.physics.tes import TesParameters


@pytest.fixture(scope="module")
def detectors() -> Detectors:
    return population(1)


def arrays(of: Detectors | TesParameters) -> dict[str, npt.NDArray[Any]]:
    return {field.name: getattr(of, field.name) for field in fields(of) if field.name != "tes"}


def test_a_seed_makes_the_same_slot_again(detectors: Detectors) -> None:
    again, other = population(1), population(2)
    for one, same in ((detectors, again), (detectors.tes, again.tes)):
        for name, values in arrays(one).items():
            np.testing.assert_array_equal(values, getattr(same, name), err_msg=name)
    assert (detectors.tes.r_n != other.tes.r_n).all()


def test_detectors_are_in_order_on_channels_that_are_read(detectors: Detectors) -> None:
    assert len(detectors) == 1700
    assert (np.diff(detectors.absolute_channel) > 0).all()
    assert set(detectors.channel.tolist()) <= set(processed_channels().tolist())
    assert np.bincount(detectors.band).tolist() == [213] * 4 + [212] * 4


def test_smurf_processes_the_channels_of_the_416_inner_sub_bands() -> None:
    channels = processed_channels()
    assert channels.size == 416
    assert 0 not in channels  # sub-band 0, at the lower edge
    assert 1 in channels  # sub-band 256, in the middle


def test_most_detectors_are_wired_evenly_and_some_are_not(detectors: Detectors) -> None:
    per_group = np.bincount(detectors.bias_group[detectors.responsive])
    assert per_group.size == 12
    assert per_group.min() > 120
    assert 0.01 < (detectors.bias_group == NO_BIAS_GROUP).mean() < 0.06
    assert 0.01 < (~detectors.alive).mean() < 0.06
    assert set(detectors.polarity.tolist()) == {-1, 1}


@pytest.mark.parametrize("n", [0, 8 * 416 + 1])
def test_a_slot_has_no_more_detectors_than_it_reads(n: int) -> None:
    with pytest.raises(ValueError, match="from 1 to 3328"):
        population(1, n)


@pytest.mark.parametrize("n", [1, 5, 8 * 416])
def test_small_and_full_slots(n: int) -> None:
    assert len(population(1, n)) == n


def test_the_true_p_sat_is_what_a_fine_iv_would_find(detectors: Detectors) -> None:
    """sodetlib's: the power where V/I, parasitic resistance included, crosses 0.9 of its normal value."""
    known = truth(detectors)
    tes = detectors.tes
    for row in np.flatnonzero(detectors.responsive)[:5]:
        one = tes.take(np.array([row]))
        biases = np.linspace(0.4e-3, 0.7e-3, 3000, dtype=np.float64)
        points = at_bias(tes.take(np.full(biases.size, row)), biases)
        seen = points.r + one.r_p
        power = np.interp(0.9 * (one.r_n + one.r_p), seen, points.current**2 * seen)
        np.testing.assert_allclose(known["p_sat"][row], power, rtol=1e-5)
        np.testing.assert_allclose(known["R_n"][row], seen[-1], rtol=2e-3)


def test_the_truth_is_blank_where_nothing_can_be_found(detectors: Detectors) -> None:
    known = truth(detectors)
    for name in ("R_n", "R_L", "p_sat"):
        np.testing.assert_array_equal(np.isfinite(known[name]), detectors.responsive)


def test_the_truth_can_be_read_without_smurfq(detectors: Detectors, tmp_path: Path) -> None:
    in_arrays, in_text = write_truth(detectors, tmp_path / "slot", seed=1)
    with np.load(in_arrays, allow_pickle=False) as found:
        assert set(found) == set(truth(detectors))
        np.testing.assert_array_equal(found["polarity"], detectors.polarity)
    about = json.loads(in_text.read_text())
    assert about["seed"] == 1
    assert about["responsive"] == sum(about["detectors_per_bias_group"]) == int(detectors.responsive.sum())
