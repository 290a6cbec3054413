"""Results of analyses become session data and blocks with the fields of the operations table."""

from __future__ import annotations

import json
import math

import pytest

from smurfq.core.results import (
    Results,
    bgmap_results,
    bias_results,
    iv_results,
    noise_results,
    tracking_results,
)
from smurfq.operations import OPERATIONS

NAN = math.nan


def biased(rfrac: list[float], groups: list[int], rfrac_range: tuple[float, float] = (0.2, 0.9)) -> Results:
    return bias_results(
        "/f.npy",
        bias_group=groups,
        rfrac=rfrac,
        responsivity=rfrac,
        resistance=rfrac,
        rfrac_range=rfrac_range,
    )


ALL = {
    "take_noise": noise_results([60.0, NAN, 70.0]),
    "take_iv": iv_results("/f.npy", [7e-3, NAN], [NAN, NAN]),
    "take_bias_steps": biased([0.5, NAN], [0, 1]),
    "take_bias_waves": biased([0.5, NAN], [0, 1]),
    "uxm_relock": tracking_results("/f.npy", [0, 0, 3], [True, False, True]),
}


@pytest.mark.parametrize("name", ALL)
def test_a_block_has_the_fields_of_its_feed_and_is_json(name: str) -> None:
    block = ALL[name].feed
    assert set(block) == set(OPERATIONS[name].feed_fields)
    json.dumps([block, ALL[name].data], allow_nan=False)


def test_quantiles_of_nothing_are_null_not_zero() -> None:
    found = ALL["take_iv"]
    assert found.feed["p_sat_q50"] is None
    assert found.feed["p_sat_total"] == 0
    assert found.feed["Rn_q50"] == 7e-3
    assert found.feed["Rn_total"] == 1
    assert set(found.data) == {"filepath", "quantiles"}
    assert set(found.data["quantiles"]) == {"Rn", "p_sat"}


def test_biased_channels_lie_within_the_range_limits_excluded() -> None:
    found = biased([0.2, 0.21, 0.89, 0.9, NAN, 0.5, math.inf], [0, 0, 1, 1, 1, -1, 2])
    assert found.data["biased_total"] == 3  # the one of no bias group counts here
    assert found.data["biased_per_bg"] == [1, 1, *[0] * 10]
    assert found.feed["biased_bg1"] == 1
    assert found.feed["biased_total"] == 3
    assert biased([0.5], [0], (0.6, 0.9)).data["biased_total"] == 0


def test_a_bgmap_counts_the_channels_of_no_group_last() -> None:
    found = bgmap_results("/f.npy", [0, 0, 11, -1, -1, -1])
    assert found.data == {"nchans_per_bg": [2, *[0] * 10, 1, 3], "filepath": "/f.npy"}
    assert found.feed == {}


def test_a_band_alarms_without_detectors_or_with_too_few_good_ones() -> None:
    found = tracking_results("/f.npy", [0, 0, 1, 1, 1, 7], [True, False, True, False, False, True])
    assert found.data["all_det_num"] == [2, 3, 0, 0, 0, 0, 0, 1]
    assert found.data["good_det_num"] == [1, 1, 0, 0, 0, 0, 0, 1]
    assert [found.feed[f"alarm_band{band}"] for band in range(8)] == [0, 1, 1, 1, 1, 1, 1, 0]
    stricter = tracking_results("/f.npy", [0, 0], [True, False], good_threshold=0.6)
    assert stricter.feed["alarm_band0"] == 1
