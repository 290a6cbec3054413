"""What the analyses found, as session data and as a feed's block.

Pure: arrays come in as any sequence, one item a channel, and what goes out is made of plain numbers. A
channel whose value is not finite does not count.
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
    """The session data that an operation leaves, and the block of its feed, if it has one."""

    data: dict[str, Any]
    feed: dict[str, float | int | None] = field(default_factory=dict)


def noise_results(white_noise_level: Values) -> Results:
    """Of ``take_noise``: the white noise level of each channel, pA/√Hz."""
    return _of_quantiles({}, {}, quantiles("white_noise_level", white_noise_level))


def iv_results(filepath: str, normal_resistance: Values, saturation_power: Values) -> Results:
    """Of ``take_iv``: R_n in Ω and p_sat in W (at 90 % of R_n) of each channel."""
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
    """Of ``take_bias_steps`` and ``take_bias_waves``: R/R_n, S_i in 1/V and R in Ω of each channel.

    A channel is biased where its R/R_n lies within ``rfrac_range``, limits excluded; ``biased_per_bg`` leaves
    out the channels of no bias group, ``biased_total`` counts them too.
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
    """Of ``take_bgmap``: how many channels each bias group has, and at the end how many have none."""
    unassigned = sum(int(group) == _UNASSIGNED for group in bias_group)
    return Results({"nchans_per_bg": [*_count(bias_group), unassigned], "filepath": filepath})


def tracking_results(filepath: str, band: Values, is_good: Values, good_threshold: float = GOOD_THRESHOLD) -> Results:
    """Of ``uxm_relock``: how many channels of each band there are and how many of them track well.

    A band's alarm is 1 where it has no channel, or the part that tracks well is below ``good_threshold``.
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
    """How often each of 0 … ``limit`` - 1 stands among ``numbers``."""
    counts = [0] * limit
    for number in numbers:
        if 0 <= int(number) < limit:
            counts[int(number)] += 1
    return counts
