"""Quantiles agree with numpy's. Without values, they are None, not 0."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smurfq.core.quantiles import quantiles


def test_quantiles_of_one_to_eleven() -> None:
    found = quantiles("Rn", [11, 1, 10, 2, 9, 3, 8, 4, 7, 5, 6])
    assert found.values == (2, 3.5, 6, 8.5, 10)
    assert found.total == 11
    assert found.to_block() == {
        "Rn_q10": 2,
        "Rn_q25": 3.5,
        "Rn_q50": 6,
        "Rn_q75": 8.5,
        "Rn_q90": 10,
        "Rn_total": 11,
    }
    assert found.to_dict() == {
        "values": [2, 3.5, 6, 8.5, 10],
        "labels": ["Rn_q10", "Rn_q25", "Rn_q50", "Rn_q75", "Rn_q90"],
        "count": 11,
    }


@pytest.mark.parametrize("values", [[], [math.nan], [math.inf, -math.inf, None, math.nan]])
def test_quantiles_of_no_values_are_none(values: list[float | None]) -> None:
    found = quantiles("Rn", values)
    assert found.values == (None,) * 5
    assert found.total == 0


def test_values_that_are_not_finite_do_not_count() -> None:
    assert quantiles("x", [math.nan, 2.0, math.inf, None]) == quantiles("x", [2.0])


@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=60))
def test_quantiles_are_numpys(values: list[float]) -> None:
    numpy = pytest.importorskip("numpy")
    expected = numpy.quantile(values, [0.1, 0.25, 0.5, 0.75, 0.9])
    assert quantiles("x", values).values == pytest.approx(expected.tolist(), rel=1e-9, abs=1e-3)
    assert quantiles("x", numpy.array(values)).values == quantiles("x", values).values
