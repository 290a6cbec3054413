"""The demo's table agrees with true values, and with no others."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from smurfq.core.quantiles import quantiles
from smurfq.core.results import bgmap_results, bias_results, iv_results, noise_results
from smurfq.site.demo.findings import Expected, compare

PER_GROUP = (3, 2)
R_N = [7.8e-3, 7.9e-3, 8.0e-3, 7.7e-3, 8.1e-3]
P_SAT = [4.0e-12, 4.1e-12, 4.2e-12, 3.9e-12, 4.3e-12]
NOISE = [64.0, 65.0, 66.0, 67.0, 68.0, 65.5]


def by_percent(values: list[float]) -> dict[int, float]:
    return dict(zip((10, 25, 50, 75, 90), quantiles("", values).to_dict()["values"], strict=True))


EXPECTED = Expected(
    resonators=6,
    per_bias_group=PER_GROUP,
    r_n_ohm=by_percent(R_N),
    p_sat_w=by_percent(P_SAT),
    rfrac_median=0.5,
    biased=5,
    white_noise_median=65.25,
)


def measured(scale: float = 1.0, noise: float = 1.0, rfrac: float = 0.5) -> dict[str, dict[str, Any]]:
    """The session data of operations that found the truth, or something beside it."""
    bgmap = bgmap_results("bg.npy", [0, 0, 0, 1, 1, -1]).data
    bgmap["nchans_per_bg"] = [*bgmap["nchans_per_bg"][:2], 1]
    steps = bias_results(
        "steps.npy",
        bias_group=[0, 0, 0, 1, 1, -1],
        rfrac=[rfrac] * 5 + [float("nan")],
        responsivity=[-8e6] * 6,
        resistance=[4e-3] * 6,
        rfrac_range=(0.2, 0.9),
    )
    return {
        "take_bgmap": bgmap,
        "take_iv": iv_results("iv.npy", [scale * r for r in R_N], [scale * p for p in P_SAT]).data,
        "take_bias_steps": steps.data,
        "take_noise": noise_results([noise * level for level in NOISE]).data,
    }


def disagreeing(data: dict[str, dict[str, Any]]) -> set[str]:
    return {row.what for row in compare(data, EXPECTED) if not row.agrees}


def test_true_values_agree() -> None:
    rows = compare(measured(), EXPECTED)
    assert all(row.agrees for row in rows)
    shown = {row.what: (row.found, row.held) for row in rows}
    assert shown["R_n, 50 %"] == ("7.900 mΩ", "7.900 mΩ")
    assert shown["p_sat, 50 %"] == ("4.100 pW", "4.100 pW")
    assert shown["detectors on a bias line"] == ("5", "5")
    assert shown["biased (0.2 < R/R_n < 0.9)"] == ("100.0 %", "100.0 %")


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        (measured(scale=1.02), {"R_n, 10 %", "R_n, 50 %", "R_n, 90 %"}),
        (
            measured(scale=0.96),
            {f"{name}, {percent} %" for name in ("R_n", "p_sat") for percent in (10, 50, 90)},
        ),
        (measured(noise=0.9), {"white noise, median"}),
        (measured(rfrac=0.55), {"R/R_n, median"}),
        (measured(rfrac=0.95), {"R/R_n, median", "biased (0.2 < R/R_n < 0.9)"}),
    ],
)
def test_wrong_values_do_not_agree(data: dict[str, dict[str, Any]], wrong: set[str]) -> None:
    assert disagreeing(data) == wrong


@pytest.mark.parametrize(
    ("counts", "wrong"),
    [
        ([3, 1, 2], {"detectors on a bias line", "bias lines with all detectors"}),
        ([2, 3, 1], {"bias lines with all detectors"}),
        ([3, 2, 0], {"resonators"}),
        ([7, 2, -3], {"detectors on a bias line", "bias lines with all detectors"}),
        ([4, 2, 0], set()),
    ],
)
def test_a_detector_in_the_wrong_place_is_found(counts: list[int], wrong: set[str]) -> None:
    data = measured()
    data["take_bgmap"]["nchans_per_bg"] = counts
    assert disagreeing(data) == wrong


@pytest.mark.parametrize("operation", ["take_bgmap", "take_iv", "take_bias_steps", "take_noise"])
def test_an_operation_that_left_nothing_does_not_agree(operation: str) -> None:
    data = copy.deepcopy(measured())
    data[operation] = {}
    assert disagreeing(data)


def test_a_problem_names_all_that_a_person_needs() -> None:
    row = next(row for row in compare(measured(noise=0.9), EXPECTED) if not row.agrees)
    assert row.problem() == "white noise, median: measured 59.2 pA/√Hz, true 65.2 pA/√Hz (tolerance 5 %)"
