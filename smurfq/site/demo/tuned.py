"""Compares the results of a setup and a relock with the true values of the slot's radio model. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from smurfq.site.demo.findings import Row

_DELAY_BOUND_US: Final = 0.01
_TRACKING_BOUND: Final = 0.02  # fraction of the resonators with a tone


@dataclass(frozen=True)
class ExpectedBand:
    """The results that a setup should have in a band.

    ``on`` resonators get a tone, and ``tracking`` of them follow the flux ramp. The setup may find up to ``unsure``
    more, which are wide and shallow, or two of which look like one.
    """

    band: int
    delay_us: float
    on: int
    unsure: int
    tracking: int


def compare_tune(setup: Mapping[str, Any], relock: Mapping[str, Any], expected: Sequence[ExpectedBand]) -> list[Row]:
    """Return the rows of the demo's table, from the session data of ``uxm_setup`` and ``uxm_relock``."""
    delays = setup.get("setup_phase_delay") or {}
    found_us = dict(zip(delays.get("bands", ()), delays.get("band_delay_us", ()), strict=False))
    return [row for band in expected for row in _band(band, found_us.get(band.band), relock)]


def _band(band: ExpectedBand, delay_us: float | None, relock: Mapping[str, Any]) -> Iterator[Row]:
    number = band.band
    yield Row(
        f"band {number}: delay",
        "nothing" if delay_us is None else f"{delay_us:.3f} µs",
        f"{band.delay_us:.3f} µs",
        f"{_DELAY_BOUND_US:g} µs",
        delay_us is not None and abs(delay_us - band.delay_us) <= _DELAY_BOUND_US,
    )
    on, good = (_of_band(relock.get(key), number) for key in ("all_det_num", "good_det_num"))
    yield Row(
        f"band {number}: resonators with a tone",
        f"{on}",
        f"{band.on}" + (f" to {band.on + band.unsure}" if band.unsure else ""),
        "exact",
        band.on <= on <= band.on + band.unsure,
    )
    allowed = _TRACKING_BOUND * band.on
    yield Row(
        f"band {number}: resonators that track",
        f"{good}",
        f"{band.tracking}",
        f"{100 * _TRACKING_BOUND:g} %",
        abs(good - band.tracking) <= max(1.0, allowed) + band.unsure,
    )


def _of_band(counts: Any, band: int) -> int:
    return int(counts[band]) if isinstance(counts, list) and len(counts) > band else 0
