"""Compares the workflow's measurements with the true values of the model. Pure functions.

The tolerances are the accuracies of sodetlib's analyses for the demo's short measurements; see the note at each.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

SHOWN: Final = (10, 50, 90)  # percent
BIASED: Final = (0.2, 0.9)  # range of R/R_n of biased detectors, the default of take_bias_steps

# If the noise of a channel without a detector looks like steps by chance, sodetlib assigns it to a bias line. This
# happens to one of about a hundred such channels in one of about ten maps.
_BY_CHANCE: Final = 3

_R_N_BOUND: Final = 0.01
_P_SAT_BOUND: Final = 0.03  # accuracy of the point of 0.9 R_n in an IV with steps of 0.1 V
_RFRAC_BOUND: Final = 0.04  # absolute; sodetlib assumes a constant Joule power in a step, an error of 3 % of R
_BIASED_BOUND: Final = 0.01
_NOISE_BOUND: Final = 0.05  # the median of a spectrum is below its mean; the difference grows with fewer segments


@dataclass(frozen=True)
class Expected:
    """The true values: resistances in Ω and powers in W, by percent of the detectors; noise in pA/√Hz.

    In addition to ``resonators``, up to ``unsure`` more may be found.
    """

    resonators: int
    per_bias_group: tuple[int, ...]
    r_n_ohm: Mapping[int, float]
    p_sat_w: Mapping[int, float]
    rfrac_median: float
    biased: int
    white_noise_median: float
    unsure: int = 0


@dataclass(frozen=True)
class Row:
    """A line of the demo's table: the measured value, the true value, and the tolerance."""

    what: str
    found: str
    held: str
    bound: str
    agrees: bool

    def problem(self) -> str:
        """Return a message for values that do not agree."""
        return f"{self.what}: measured {self.found}, true {self.held} (tolerance {self.bound})"


def compare(measured: Mapping[str, Mapping[str, Any]], expected: Expected) -> list[Row]:
    """Return the demo's table, from the session data of each operation by its name."""
    return [
        *_groups(measured["take_bgmap"], expected),
        *_quantiles("R_n", "Rn", measured["take_iv"], expected.r_n_ohm, 1e3, "mΩ", _R_N_BOUND),
        *_quantiles("p_sat", "p_sat", measured["take_iv"], expected.p_sat_w, 1e12, "pW", _P_SAT_BOUND),
        *_biased(measured["take_bias_steps"], expected),
        _number(
            "white noise, median",
            _quantile(measured["take_noise"], "white_noise_level", 50),
            expected.white_noise_median,
            _NOISE_BOUND,
            unit="pA/√Hz",
            digits=1,
        ),
    ]


def _groups(data: Mapping[str, Any], expected: Expected) -> Iterator[Row]:
    found = [int(count) for count in data.get("nchans_per_bg") or []]
    *groups, without = found or [0]
    total, held = sum(groups), sum(expected.per_bias_group)
    most = expected.resonators + expected.unsure
    yield Row(
        "resonators",
        f"{total + without}",
        f"{expected.resonators}" + (f" to {most}" if expected.unsure else ""),
        "exact",
        expected.resonators <= total + without <= most,
    )
    few = range(_BY_CHANCE + 1)
    yield Row("detectors on a bias line", f"{total}", f"{held}", f"+{_BY_CHANCE}", total - held in few)
    agreeing = sum(one - other in few for one, other in zip(groups, expected.per_bias_group, strict=False))
    lines = len(expected.per_bias_group)
    yield Row("bias lines with all detectors", f"{agreeing}", f"{lines}", "exact", agreeing == lines)


def _biased(data: Mapping[str, Any], expected: Expected) -> Iterator[Row]:
    wired = sum(expected.per_bias_group) or 1
    yield _number(
        f"biased ({BIASED[0]} < R/R_n < {BIASED[1]})",
        100 * float(data.get("biased_total") or 0) / wired,
        100 * expected.biased / wired,
        100 * _BIASED_BOUND,
        unit="%",
        digits=1,
        absolute=True,
    )
    yield _number(
        "R/R_n, median", _quantile(data, "Rfrac", 50), expected.rfrac_median, _RFRAC_BOUND, digits=3, absolute=True
    )


def _quantiles(
    what: str,
    name: str,
    data: Mapping[str, Any],
    held: Mapping[int, float],
    scale: float,
    unit: str,
    bound: float,
) -> Iterator[Row]:
    for percent in SHOWN:
        found = _quantile(data, name, percent)
        yield _number(f"{what}, {percent} %", found * scale, held[percent] * scale, bound, unit=unit, digits=3)


def _quantile(data: Mapping[str, Any], name: str, percent: int) -> float:
    """Return a quantile from a record's data; NaN if it has none."""
    told = (data.get("quantiles") or {}).get(name) or {}
    values = dict(zip(told.get("labels", ()), told.get("values", ()), strict=False))
    value = values.get(f"{name}_q{percent}")
    return math.nan if value is None else float(value)


def _number(
    what: str,
    found: float,
    held: float,
    bound: float,
    *,
    unit: str = "",
    digits: int,
    absolute: bool = False,
) -> Row:
    allowed = bound if absolute else bound * abs(held)
    after = f" {unit}" if unit else ""
    shown = "nothing" if math.isnan(found) else f"{found:.{digits}f}{after}"
    told = f"{bound:g}{after}" if absolute else f"{100 * bound:g} %"
    return Row(what, shown, f"{held:.{digits}f}{after}", told, abs(found - held) <= allowed)
