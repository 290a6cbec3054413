"""The keyword arguments that the installed sodetlib accepts and needs, and those that smurfq passes to it."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest

from smurfq import operations
from smurfq.core.spectra import least_duration_s
from smurfq.errors import OperationFailedError, ParameterError
from smurfq.operation_process.keywords import keywords
from smurfq.tasks import bias, bias_steps, iv, noise
from smurfq.tasks.stream import _check_filter

pytestmark = pytest.mark.slot
noise_of = pytest.importorskip("sodetlib.noise", reason="needs sodetlib: pip install 'smurfq[slot]'")
core = pytest.importorskip("sotodlib.core")

NOISES: list[tuple[float, dict[str, Any]]] = [
    (200.0, {}),
    (200.0, {"nperdecade": 4}),
    (200.0, {"wl_f_range": [20, 22]}),
    (200.0, {"nperseg": 512}),
    (200.0, {"nperseg": 21}),
    (400.0, {"freq_spacing": 0.5}),
    (61.0, {}),
    (4000.0, {}),
]


def finds_noise(samples: int, rate_hz: float, kwargs: dict[str, Any]) -> bool:
    """Whether sodetlib's analysis of a stream comes to its end, with a white noise level."""
    am = core.AxisManager(core.LabelAxis("dets", ["a", "b", "c"]), core.OffsetAxis("samps", samples))
    am.wrap("timestamps", np.arange(samples) / rate_hz * (1 + 1e-7), [(0, "samps")])  # a clock is never quite right
    am.wrap("signal", np.random.default_rng(1).normal(size=(3, samples)), [(0, "dets"), (1, "samps")])
    am.wrap("ch_info", core.AxisManager(am.dets))
    am.ch_info.wrap("band", np.zeros(3, int), [(0, "dets")])
    am.ch_info.wrap("channel", np.arange(3), [(0, "dets")])
    try:
        found = noise_of.get_noise_params(am, **kwargs)
    except (ValueError, IndexError):
        return False
    return bool(np.isfinite(found["noise_pars"][:, 0]).all())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("rate_hz", "kwargs"), NOISES)
def test_a_stream_is_as_long_as_take_noise_needs_it(rate_hz: float, kwargs: dict[str, Any]) -> None:
    least_s = least_duration_s(rate_hz, kwargs)
    assert least_s is not None
    samples = math.ceil(least_s * rate_hz - 1e-6)
    assert finds_noise(samples, rate_hz, kwargs)
    assert not finds_noise(samples - 1, rate_hz, kwargs)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("rate_hz", "kwargs"),
    [
        (200.0, {"nperseg": 19}),
        (200.0, {"freq_spacing": 20}),
        (200.0, {"wl_f_range": [110, 120]}),
        (200.0, {"max_samples": 1000}),
    ],
)
def test_some_spectra_have_no_noise_level_however_long_the_stream(rate_hz: float, kwargs: dict[str, Any]) -> None:
    assert least_duration_s(rate_hz, kwargs) is None
    assert not finds_noise(20_000, rate_hz, kwargs)


@pytest.mark.parametrize(
    ("name", "kwargs", "said"),
    [
        ("take_noise", {"npersg": 512}, "take_noise: sodetlib takes no 'npersg' in kwargs; did you mean 'nperseg'?"),
        ("take_iv", {"wait": 1}, "takes no 'wait' in kwargs; did you mean 'wait_time'?"),
        ("take_iv", {"analysis_kwargs": {"iva": 1}}, "takes no 'iva' in analysis_kwargs"),
        ("take_bgmap", {"analysis_kwargs": {"save": True}}, "takes no 'save' in analysis_kwargs"),
        ("take_bias_waves", {"freq_wave": 23}, "did you mean 'freqs_wave'?"),
        ("uxm_relock", {"noise": 1}, "takes no 'noise' in kwargs; known are bands, show_plots"),
    ],
)
def test_names_that_nothing_in_sodetlib_takes_are_rejected(name: str, kwargs: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterError, match=re.escape(said)):
        keywords(name, kwargs)


def test_the_keywords_of_the_operations_table_are_those_of_sodetlib() -> None:
    for operation in operations.OPERATIONS.values():
        if operation.keywords:
            keywords(operation.name, {one.name: {} for one in operation.keywords})
    keywords("take_iv", {"analysis_kwargs": {"save": False, "psat_level": 0.8}})
    keywords("take_noise", {"nperseg": 512, "nbins": 3, "window": "hann", "pA_per_phi0": 9e6})


def test_own_parameters_win_over_kwargs_and_those_not_given_are_left_to_sodetlib() -> None:
    asked = keywords("take_noise", {"nperseg": 5, "g3_tag": "x"}, g3_tag="y", acq_time=3.0, bands=None)
    assert asked == {"nperseg": 5, "g3_tag": "y", "acq_time": 3.0}
    assert keywords("take_iv", None, g3_tag=None) == {}
    assert keywords("take_iv", {"g3_tag": "x"}, g3_tag=None) == {"g3_tag": "x"}


@pytest.mark.parametrize(
    ("wanted", "points"),
    [
        ({"bias_step": 2.0}, 10),
        ({"bias_low": 18.5}, 0),
        ({"biases": [3.0] * 10}, 10),
        ({"bias_low": 19.0, "run_analysis": False}, 0),
    ],
)
def test_an_iv_with_too_few_points_is_rejected(wanted: dict[str, Any], points: int) -> None:
    with pytest.raises(ParameterError, match=rf"at least \d+ bias points; got {points}, "):
        iv._check_points(wanted)


def test_an_iv_with_enough_points_is_accepted() -> None:
    for wanted in ({}, {"biases": [3.0] * 11}, {"biases": [3.0], "run_analysis": False}):
        iv._check_points(wanted)


def test_a_stream_that_may_be_too_short_is_tried_and_its_error_explained() -> None:
    with (
        pytest.raises(ParameterError, match=r"got 4 s, 5\.7 s would be enough\. At 200 Hz"),
        noise._long_enough(4, 200, {}),
    ):
        pytest.fail("it is for certain")
    with pytest.raises(OperationFailedError, match=r"got 5 s, 5\.7 s would be enough"), noise._long_enough(5, 200, {}):
        raise ValueError("min() arg is an empty sequence")
    with pytest.raises(ValueError, match="something else"), noise._long_enough(7, 200, {}):
        raise ValueError("something else")
    with noise._long_enough(0.5, 200, {"nperseg": 256}):
        pass
    with pytest.raises(ParameterError, match="no duration is enough"), noise._long_enough(60, 200, {"nperseg": 8}):
        pytest.fail("never")


def test_an_analysis_of_steps_needs_the_last_map_unless_one_is_given() -> None:
    for brought in ({"run_analysis": False}, {"analysis_kwargs": {"bg_map_file": "/f.npy"}}):
        assert not bias_steps._goes_by_the_last_map(brought)
    assert bias_steps._goes_by_the_last_map({"analysis_kwargs": {"fit_tau": False}})


def test_voltages_for_some_bias_groups_and_a_filter_that_cannot_be_are_rejected() -> None:
    bias._check_one_for_each([1.0] * 4, [0, 3])
    bias._check_one_for_each(None, range(12))
    with pytest.raises(ParameterError, match="of bias groups 0 to 11; got 4 voltages"):
        bias._check_one_for_each([1.0] * 4, range(12))
    _check_filter(1999.0, 4000.0)
    with pytest.raises(ParameterError, match="below 2000 Hz, half the flux ramp rate; got 2000 Hz"):
        _check_filter(2000.0, 4000.0)
