"""What a simulated slot's model holds, as the demo's operations ought to find it. Needs numpy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smurfq.config import Settings
from smurfq.core.operations import QUANTILES
from smurfq.sim.detectors import NUM_BIAS_GROUPS, population, truth
from smurfq.sim.physics.operating_point import at_bias
from smurfq.sim.physics.tes import Floats
from smurfq.sim.surroundings import options_of
from smurfq.sim.wiring import BIAS_LINE_OHM
from smurfq.site.demo.findings import Expected


def expected(settings: Settings, slot: str, biases_v: Sequence[float], biased: tuple[float, float]) -> Expected:
    """What the model of a slot holds; of its resting points, those at ``biases_v``, a voltage a bias group.

    ``biased`` are the limits of R/R_n between which a detector counts as biased.
    """
    options = options_of(settings, [slot])
    detectors = population(options.seed_of(slot), options.detectors)
    held, tes, wired = truth(detectors), detectors.tes, detectors.responsive
    point = at_bias(tes, np.asarray(biases_v)[detectors.bias_group] / BIAS_LINE_OHM)
    # As sodetlib sees them: with the parasitic resistance, which is in series.
    rfrac = ((point.r + tes.r_p) / (tes.r_n + tes.r_p))[wired]
    low, high = biased
    groups = np.bincount(detectors.bias_group[wired], minlength=NUM_BIAS_GROUPS)
    return Expected(
        resonators=len(detectors),
        per_bias_group=tuple(int(count) for count in groups),
        r_n_ohm=_quantiles(held["R_n"][wired]),
        p_sat_w=_quantiles(held["p_sat"][wired]),
        rfrac_median=float(np.median(rfrac)),
        biased=int(((low < rfrac) & (rfrac < high)).sum()),
        white_noise_median=float(np.median(held["white_noise_pa"])),
    )


def _quantiles(values: Floats) -> dict[int, float]:
    return {percent: float(np.percentile(values, percent)) for percent in QUANTILES}
