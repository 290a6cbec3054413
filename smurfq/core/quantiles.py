"""Computes quantiles of the finite values of a measurement, without numpy, which clients do not need."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

QUANTILES: Final = (10, 25, 50, 75, 90)


@dataclass(frozen=True)
class Quantiles:
    """The 10, 25, 50, 75 and 90 % quantiles of ``total`` finite values, in their unit; None if there are no values."""

    name: str
    values: tuple[float | None, ...]
    total: int

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the names of ``values``, for example ``Rn_q10``."""
        return tuple(f"{self.name}_q{percent}" for percent in QUANTILES)

    def to_dict(self) -> dict[str, Any]:
        """Return the quantiles in the format of the PysmurfController's session data."""
        return {"values": list(self.values), "labels": list(self.labels), "count": self.total}

    def to_block(self) -> dict[str, float | int | None]:
        """Return the quantiles as fields of a feed's block."""
        return {**dict(zip(self.labels, self.values, strict=True)), f"{self.name}_total": self.total}


def fields(*names: str) -> tuple[str, ...]:
    """Return the names of the fields that quantiles of these names have in a feed's block."""
    return tuple(f"{name}_{end}" for name in names for end in (*(f"q{percent}" for percent in QUANTILES), "total"))


def quantiles(name: str, values: Iterable[Any]) -> Quantiles:
    """Return the quantiles of the finite ``values``.

    The quantiles are interpolated linearly between order statistics, as by numpy's default method
    (type 7 of Hyndman and Fan, The American Statistician 50, 361 (1996)).
    """
    finite = sorted(number for value in values if (number := _number(value)) is not None)
    return Quantiles(name, tuple(_quantile(finite, percent / 100) for percent in QUANTILES), len(finite))


def _number(value: Any) -> float | None:
    if value is None:
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def _quantile(ordered: list[float], fraction: float) -> float | None:
    if not ordered:
        return None
    position = fraction * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    part = position - below
    return ordered[below] * (1 - part) + ordered[above] * part
