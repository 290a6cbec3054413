"""Values of device configurations that make sodetlib fail, or destroy an amplifier, are named."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from smurfq.core.card_wiring import Wiring, usual_wiring
from smurfq.smurf_control.device_checks import (
    Defaults,
    dangerous_gates,
    errors_in,
    first_of,
    sodetlib_defaults,
    warnings_in,
)

LISTS = {"active_bands": list(range(8)), "active_bgs": list(range(12)), "amps_to_bias": ["hemt1", "50k1"]}
DEFAULTS = Defaults(
    experiment={
        **LISTS,
        "nphi0": 5,
        "flux_ramp_rate_khz": 4,
        "f_ptp_range": [10, 200],
        "coupling_mode": "dc",
        "tunefile": None,
        "amp_hemt1_init_gate_volt": -0.8,
        "amp_hemt1_gate_volt": None,
        "amp_hemt1_gate_volt_min": -2,
        "amp_hemt1_gate_volt_max": 0,
        "amp_50k1_init_gate_volt": -0.5,
        "amp_50k1_gate_volt": None,
        "amp_50k1_gate_volt_min": -1,
        "amp_50k1_gate_volt_max": 1,
    },
    band={"uc_att": None, "lms_gain": 0, "lms_freq_hz": None},
    bias_group={"cool_voltage": 10.0},
)
USUAL = usual_wiring("")
ONE_BAY = Wiring(USUAL.pairs, USUAL.relays, (0, 1, 2, 3))


def table(experiment: Any = None, bias_groups: Any = None, bands: Any = None) -> dict[str, Any]:
    """A device configuration."""
    return {"experiment": experiment or {}, "bias_groups": bias_groups or {}, "bands": bands or {}}


@pytest.mark.parametrize(
    "good",
    [
        table(),
        table(
            {"nphi0": 5.0, "flux_ramp_rate_khz": 4.001, "tunefile": "/t.npy", "coupling_mode": "ac", "nphi1": "2**16"}
        ),
        table(bias_groups={"cool_voltage": [10] * 12, "bias_high": [11, *[10] * 11]}),
        table(bias_groups={"cool_voltage": [10] * 15}),
        table(
            bands={"AMC[0]": {"uc_att": [1, 2, 3, 4], "nperseg": ["2**16"] * 4}, "Band[7]": {"lms_freq_hz": 19999.98}}
        ),
    ],
)
def test_configurations_of_real_sites_have_no_error(good: dict[str, Any]) -> None:
    assert errors_in(good, USUAL, DEFAULTS) == []


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"experiment": {}}, "bias_groups must be a table (`bias_groups: {}` if it is empty)"),
        (table({"nphi0": "2**16"}), "experiment: nphi0 is the text '2**16', and must be a number"),
        (table({"f_ptp_range": [10, "1e3"]}), "experiment: f_ptp_range is the text '1e3', and must be a number"),
        (table(bias_groups={"cool_voltage": [10] * 8}), "cool_voltage must be a list with 12 values; it has 8"),
        (table(bias_groups={"old": 3}), "bias_groups: old must be a list with 12 values; it is 3"),
        (table(bands={"AMC[2]": {}}), "bands: AMC[2] must be a table AMC[0], AMC[1], or Band[0] to Band[7]"),
        (table(bands={"AMC[0]": {"uc_att": [1, 2]}}), "AMC[0]: uc_att must be a list with 4 values; it is [1, 2]"),
        (table(bands={"Band[1]": {"lms_gain": "6"}}), "bands: Band[1]: lms_gain is the text '6'"),
        (table({"active_bands": 3}), "experiment: active_bands must be a list of whole numbers; it is 3"),
        (table({"active_bgs": [0, 13]}), "active_bgs has 13, but the slot has only bias groups 0-11: remove them"),
    ],
)
def test_a_value_with_which_sodetlib_fails_is_named(wrong: dict[str, Any], told: str) -> None:
    assert told in errors_in(wrong, USUAL, DEFAULTS)[0]


def test_bands_of_a_bay_that_is_not_there_are_named() -> None:
    assert errors_in(table(), ONE_BAY, DEFAULTS) == []
    text = errors_in(table({"active_bands": list(range(8))}), ONE_BAY, DEFAULTS)[0]
    assert text == "experiment: active_bands has 4-7, but the slot has only bands 0-3: remove them"


def test_fewer_bias_groups_than_sodetlib_needs_are_named() -> None:
    few = Wiring({group: USUAL.pairs[group] for group in range(8)}, USUAL.relays, USUAL.bands)
    assert "has 8 usable bias groups, and sodetlib needs 12" in errors_in(table(), few, DEFAULTS)[0]


def test_obsolete_values_are_named() -> None:
    old = table(
        {"amp_hemt_Vg": -1.1, "good_threshold_relock": 0.4}, {"bias_high": [1] * 12}, {"AMC[0]": {"drive": [12] * 4}}
    )
    assert list(warnings_in(old, DEFAULTS)) == [
        "unknown to sodetlib, or obsolete, in experiment: amp_hemt_Vg",
        "unknown to sodetlib, or obsolete, in bias_groups: bias_high",
        "unknown to sodetlib, or obsolete, in bands: drive",
    ]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, None),
        (
            {"amp_hemt1_init_gate_volt": -1.0},
            "amp_hemt1_init_gate_volt is -1 V; sodetlib's is -0.8 V, since -1 V breaks",
        ),
        ({"amp_hemt1_init_gate_volt": -1.0, "amp_hemt1_gate_volt": -0.6}, None),
        ({"amp_hemt1_init_gate_volt": -1.0, "amp_hemt1_gate_volt_min": 0, "amp_hemt1_gate_volt_max": 0}, None),
        ({"amp_hemt1_init_gate_volt": -1.0, "amps_to_bias": ["50k1"]}, None),
        ({"amp_hemt1_gate_volt": 0.3}, "amp_hemt1_gate_volt is 0.3 V, outside the limits -2 to 0 V"),
        ({"amp_50k1_init_gate_volt": -1.5}, "amp_50k1_init_gate_volt is -1.5 V, outside the limits -1 to 1 V"),
    ],
)
def test_a_gate_voltage_that_may_destroy_an_amplifier_is_named(values: dict[str, Any], told: str | None) -> None:
    found = list(dangerous_gates({**DEFAULTS.experiment, **values}, DEFAULTS))
    assert found == [] if told is None else told in found[0]


def test_only_the_first_problems_are_told() -> None:
    assert first_of(["a", "b"]) == "a; b"
    assert first_of("abcde") == "a; b; c; and 2 more"


@pytest.mark.slot
def test_the_defaults_of_the_installed_sodetlib_are_found_without_its_import() -> None:
    if importlib.util.find_spec("sodetlib") is None:
        pytest.skip("needs sodetlib: pip install 'smurfq[slot]'")
    found = sodetlib_defaults()
    assert found is not None
    assert errors_in(table(), USUAL, found) == []
    assert list(dangerous_gates(found.experiment, found)) == []
    risky = {**found.experiment, "amp_hemt1_init_gate_volt": -1.0}
    assert len(list(dangerous_gates(risky, found))) == 1
