"""The demo's rows of the radio side agree with true values, and with no others."""

from __future__ import annotations

from typing import Any

import pytest

from smurfq.site.demo.tuned import ExpectedBand, compare_tune

BANDS = (ExpectedBand(0, 2.46, 200, 2, 198), ExpectedBand(1, 2.49, 190, 0, 190))


def wrong(setup: dict[str, Any], relock: dict[str, Any]) -> set[str]:
    return {row.what for row in compare_tune(setup, relock, BANDS) if not row.agrees}


def found(delay_us: float = 2.461, on: int = 201, good: int = 197) -> tuple[dict[str, Any], dict[str, Any]]:
    setup = {"setup_phase_delay": {"bands": [0, 1], "band_delay_us": [delay_us, 2.489]}}
    return setup, {"all_det_num": [on, 190, *[0] * 6], "good_det_num": [good, 190, *[0] * 6]}


def test_true_values_agree() -> None:
    assert wrong(*found()) == set()
    shown = {row.what: (row.found, row.held) for row in compare_tune(*found(), BANDS)}
    assert shown["band 0: resonators with a tone"] == ("201", "200 to 202")
    assert shown["band 1: delay"] == ("2.489 µs", "2.490 µs")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (found(delay_us=2.48), {"band 0: delay"}),
        (found(on=199), {"band 0: resonators with a tone"}),
        (found(on=203), {"band 0: resonators with a tone"}),
        (found(good=180), {"band 0: resonators that track"}),
    ],
)
def test_wrong_values_do_not_agree(data: tuple[dict[str, Any], dict[str, Any]], said: set[str]) -> None:
    assert wrong(*data) == said


def test_operations_that_left_nothing_do_not_agree() -> None:
    assert len(wrong({}, {})) == 6
