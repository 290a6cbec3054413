"""Computes the values that the demo's operations should find, from the slot's model. Needs numpy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from smurfq.config import Settings
from smurfq.core.card import NUM_BIAS_GROUPS
from smurfq.core.quantiles import QUANTILES
from smurfq.sim.detectors import population, truth
from smurfq.sim.physics.operating_point import at_bias
from smurfq.sim.physics.tes import Floats
from smurfq.sim.radio.chain import delays_of
from smurfq.sim.radio.resonators import COLLIDES, GOOD, LOSSY, NO_DETECTOR, resonators_of
from smurfq.sim.radio.resonators import truth as radio_truth
from smurfq.sim.surroundings import options_of
from smurfq.sim.wiring import BIAS_LINE_OHM
from smurfq.site.demo.findings import Expected
from smurfq.site.demo.tuned import ExpectedBand

FIXED_TONES = 8  # maximum for each band, as in sodetlib


def expected(
    settings: Settings, slot: str, biases_v: Sequence[float], biased: tuple[float, float], bands: Sequence[int] = ()
) -> Expected:
    """Return the values that the operations should find with the biases ``biases_v``, one voltage for each bias group.

    ``biased`` are the limits of R/R_n between which a detector counts as biased. If ``bands`` are given, only detectors
    that a setup of these bands can find are included.
    """
    options = options_of(settings, [slot])
    seed = options.seed_of(slot)
    detectors = population(seed, options.detectors, options.shape.wiring.bands, options.shape.num_groups)
    found: npt.NDArray[np.bool_] = np.ones(len(detectors), np.bool_)
    unsure = 0
    tracked = found
    if bands:
        tuned = radio_truth(resonators_of(detectors, seed), detectors)
        in_bands = np.isin(tuned["band"], bands) & (tuned["channel"] >= 0)
        lossy = tuned["kind"] == LOSSY
        # Two resonators that collide may look like one, and a setup puts fixed tones between resonators.
        unsure = sum(band.unsure for band in expected_tune(settings, slot, bands)) + FIXED_TONES * len(bands)
        found = _detectors_of(tuned["detector"][in_bands & ~lossy], len(detectors))
        tracked = _detectors_of(tuned["detector"][in_bands & (tuned["kind"] == GOOD)], len(detectors))
    true, tes, wired = truth(detectors), detectors.tes, detectors.responsive & tracked
    point = at_bias(tes, np.asarray(biases_v)[detectors.bias_group] / BIAS_LINE_OHM)
    # As sodetlib measures them: with the parasitic resistance, which is in series.
    rfrac = ((point.r + tes.r_p) / (tes.r_n + tes.r_p))[wired]
    low, high = biased
    groups = np.bincount(detectors.bias_group[wired], minlength=NUM_BIAS_GROUPS)
    return Expected(
        resonators=int(found.sum()),
        unsure=unsure,
        per_bias_group=tuple(int(count) for count in groups),
        r_n_ohm=_quantiles(true["R_n"][wired]),
        p_sat_w=_quantiles(true["p_sat"][wired]),
        rfrac_median=float(np.median(rfrac)),
        biased=int(((low < rfrac) & (rfrac < high)).sum()),
        white_noise_median=float(np.median(true["white_noise_pa"][found])),
    )


def expected_tune(settings: Settings, slot: str, bands: Sequence[int]) -> list[ExpectedBand]:
    """Return the resonators that a setup of ``bands`` should find, band by band."""
    options = options_of(settings, [slot])
    seed = options.seed_of(slot)
    detectors = population(seed, options.detectors, options.shape.wiring.bands, options.shape.num_groups)
    tuned = radio_truth(resonators_of(detectors, seed), detectors)
    kind, there = tuned["kind"], tuned["channel"] >= 0
    return [
        ExpectedBand(
            band=band,
            delay_us=delays_of(band).total_us,
            on=int((own & (kind != LOSSY)).sum()),
            unsure=int((own & (kind == LOSSY)).sum() + ((tuned["band"] == band) & (kind == COLLIDES)).sum()),
            tracking=int((own & (kind == GOOD)).sum()),
        )
        for band in bands
        for own in [there & (tuned["band"] == band)]
    ]


def _detectors_of(detector: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.bool_]:
    """Return a mask of ``count`` detectors, true for those of the given resonators, some of which have none."""
    return np.isin(np.arange(count), detector[detector != NO_DETECTOR])


def _quantiles(values: Floats) -> dict[int, float]:
    return {percent: float(np.percentile(values, percent)) for percent in QUANTILES}
