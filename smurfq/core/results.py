"""Converts the results of analyses to session data and to a feed's block.

Inputs are sequences with one item for each channel; outputs contain plain numbers. Channels with a value that is not
finite are ignored.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from smurfq.core.card import NUM_BANDS, NUM_BIAS_GROUPS
from smurfq.core.quantiles import Quantiles, quantiles

GOOD_THRESHOLD: Final = 0.5
_UNASSIGNED: Final = -1

Values = Sequence[Any]


@dataclass(frozen=True)
class Results:
    """The session data of an operation, and the block of its feed, if it has one."""

    data: dict[str, Any]
    feed: dict[str, float | int | None] = field(default_factory=dict)


def noise_results(white_noise_level: Values) -> Results:
    """Return the results of ``take_noise`` from the white noise level of each channel, in pA/√Hz."""
    return _of_quantiles({}, {}, quantiles("white_noise_level", white_noise_level))


def iv_results(filepath: str, normal_resistance: Values, saturation_power: Values) -> Results:
    """Return the results of ``take_iv`` from R_n in Ω and p_sat in W (at 90 % of R_n) of each channel."""
    return _of_quantiles(
        {"filepath": filepath}, {}, quantiles("Rn", normal_resistance), quantiles("p_sat", saturation_power)
    )


def bias_results(
    filepath: str,
    *,
    bias_group: Values,
    rfrac: Values,
    responsivity: Values,
    resistance: Values,
    rfrac_range: Sequence[float],
) -> Results:
    """Return the results of ``take_bias_steps`` and ``take_bias_waves``.

    The inputs are R/R_n, S_i in 1/V and R in Ω of each channel. A channel is biased if its R/R_n lies within
    ``rfrac_range``, limits excluded. Only ``biased_total`` includes channels without a bias group.
    """
    low, high = rfrac_range
    biased = [math.isfinite(value) and low < value < high for value in map(float, rfrac)]
    per_group = _count([group for group, is_biased in zip(bias_group, biased, strict=True) if is_biased])
    total = sum(biased)
    return _of_quantiles(
        {"filepath": filepath, "biased_total": total, "biased_per_bg": per_group},
        {"biased_total": total, **{f"biased_bg{group}": count for group, count in enumerate(per_group)}},
        quantiles("Rfrac", rfrac),
        quantiles("Si", responsivity),
        quantiles("Rtes", resistance),
    )


def bgmap_results(filepath: str, bias_group: Values) -> Results:
    """Return the results of ``take_bgmap``: the number of channels of each bias group and, last, of none."""
    unassigned = sum(int(group) == _UNASSIGNED for group in bias_group)
    return Results({"nchans_per_bg": [*_count(bias_group), unassigned], "filepath": filepath})


def tracking_results(filepath: str, band: Values, is_good: Values, good_threshold: float = GOOD_THRESHOLD) -> Results:
    """Return the results of ``uxm_relock``: for each band, the number of channels, and of those that track well.

    A band's alarm is 1 if it has no channel, or if the fraction that tracks well is below ``good_threshold``.
    """
    found = _count(band, NUM_BANDS)
    good = _count([number for number, tracks in zip(band, is_good, strict=True) if tracks], NUM_BANDS)
    block: dict[str, float | int | None] = {}
    for number in range(NUM_BANDS):
        block[f"alldet_band{number}"] = found[number]
        block[f"gooddet_band{number}"] = good[number]
        block[f"alarm_band{number}"] = int(not found[number] or good[number] / found[number] < good_threshold)
    return Results({"filepath": filepath, "all_det_num": found, "good_det_num": good}, block)


def _of_quantiles(data: dict[str, Any], feed: dict[str, Any], *found: Quantiles) -> Results:
    block: dict[str, float | int | None] = dict(feed)
    for item in found:
        block.update(item.to_block())
    return Results({**data, "quantiles": {item.name: item.to_dict() for item in found}}, block)


def _count(numbers: Values, limit: int = NUM_BIAS_GROUPS) -> list[int]:
    """Count how often each of 0 … ``limit`` - 1 occurs in ``numbers``."""
    counts = [0] * limit
    for number in numbers:
        if 0 <= int(number) < limit:
            counts[int(number)] += 1
    return counts
