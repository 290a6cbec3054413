"""The demo's expected values come from the settings of its site, as the simulator's do."""

from __future__ import annotations

from pathlib import Path

import pytest

from smurfq.config import load
from smurfq.core.card import NUM_BIAS_GROUPS

pytest.importorskip("numpy")
SLOT = "crate1slot2"


def test_it_is_the_truth_that_the_simulator_writes(tmp_path: Path) -> None:
    import numpy as np

    from smurfq.sim.detectors import population, write_truth
    from smurfq.sim.surroundings import options_of
    from smurfq.site.demo.expected import expected

    environ = {"SMURFQ_SLOTS": SLOT, "SMURFQ_SIM_SEED": "7", "SMURFQ_SIM_DETECTORS": "200"}
    settings = load(environ)
    seed = options_of(settings, [SLOT]).seed_of(SLOT)
    arrays, _ = write_truth(population(seed, 200), tmp_path, seed)
    with np.load(arrays) as held:
        found = expected(settings, SLOT, [5.7] * NUM_BIAS_GROUPS, (0.2, 0.9))
        assert found.resonators == 200
        assert sum(found.per_bias_group) == held["responsive"].sum() < 200
        assert found.r_n_ohm[50] == pytest.approx(np.nanmedian(held["R_n"]))
        assert found.p_sat_w[90] == pytest.approx(np.nanpercentile(held["p_sat"], 90))
    assert found.rfrac_median == pytest.approx(0.5, abs=0.02)
    assert found.biased == sum(found.per_bias_group)


def test_no_detector_is_biased_where_all_are_normal() -> None:
    from smurfq.site.demo.expected import expected

    settings = load({"SMURFQ_SLOTS": SLOT, "SMURFQ_SIM_DETECTORS": "100"})
    found = expected(settings, SLOT, [15.0] * NUM_BIAS_GROUPS, (0.2, 0.9))
    assert found.biased == 0
    assert found.rfrac_median > 0.95


def test_of_two_bands_only_what_a_setup_can_find_is_expected() -> None:
    from smurfq.site.demo.expected import expected, expected_tune

    settings = load({"SMURFQ_SLOTS": SLOT, "SMURFQ_SIM_DETECTORS": "800"})
    biases_v = [5.7] * NUM_BIAS_GROUPS
    both = expected(settings, SLOT, biases_v, (0.2, 0.9), [0, 1])
    every = expected(settings, SLOT, biases_v, (0.2, 0.9))
    tune = expected_tune(settings, SLOT, [0, 1])
    assert [band.band for band in tune] == [0, 1]
    assert [band.delay_us for band in tune] == pytest.approx([2.46, 2.49])
    assert both.resonators == sum(band.on for band in tune)
    assert 150 < both.resonators < every.resonators / 3
    assert sum(both.per_bias_group) <= sum(band.tracking for band in tune) <= both.resonators
