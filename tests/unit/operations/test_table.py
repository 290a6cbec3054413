"""The models of the operations table check parameters, and errors say what is wrong."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from smurfq.errors import ParameterError, RequestError, UnknownOperationError
from smurfq.operations import (
    OPERATIONS,
    check,
    describe,
    operation,
    task_name,
    time_limit_for,
)

QUANTILE_ENDS = ("q10", "q25", "q50", "q75", "q90", "total")
REQUIRED_VALUES: dict[str, dict[str, object]] = {"run": {"script": "/scripts/a.py"}, "set_biases": {"bias": 1.5}}


def complete(name: str) -> dict[str, object]:
    return dict(REQUIRED_VALUES.get(name, {}))


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_with_a_feed_names_its_fields(name: str) -> None:
    assert bool(OPERATIONS[name].feed_fields) == (OPERATIONS[name].feed is not None)
    assert OPERATIONS[name].summary.endswith(".")


@pytest.mark.parametrize("name", OPERATIONS)
def test_defaults_are_filled_in_and_pass_their_own_check(name: str) -> None:
    checked = check(name, complete(name))
    assert list(checked) == [p.name for p in OPERATIONS[name].parameters]
    assert json.loads(json.dumps(checked, allow_nan=False)) == checked
    assert check(name, checked) == checked


@pytest.mark.parametrize("name", OPERATIONS)
def test_none_for_a_parameter_with_a_default_is_its_default(name: str) -> None:
    nothing = {p.name: None for p in OPERATIONS[name].parameters if not p.required}
    assert check(name, {**nothing, **complete(name)}) == check(name, complete(name))


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_partial_check_fills_nothing_in_and_misses_nothing(name: str) -> None:
    assert check(name, {}, partial=True) == {}


@pytest.mark.parametrize("name", REQUIRED_VALUES)
def test_a_required_parameter_is_missed(name: str) -> None:
    (parameter,) = REQUIRED_VALUES[name]
    for params in ({}, {parameter: None}):
        with pytest.raises(ParameterError, match=f"{name}: parameter {parameter} is missing"):
            check(name, params)


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_unknown_parameter_is_rejected_with_the_nearest_named(name: str) -> None:
    known = [p.name for p in OPERATIONS[name].parameters]
    misspelt = f"{known[-1]}x" if known else "anything"
    with pytest.raises(ParameterError) as caught:
        check(name, {**complete(name), misspelt: 1}, partial=True)
    assert caught.value.parameter == misspelt
    assert (repr(known[-1]) if known else "it takes none") in str(caught.value)


def test_an_operation_is_known_by_its_own_and_by_its_task_name() -> None:
    assert operation("take_iv") is operation("smurfq.take_iv") is OPERATIONS["take_iv"]
    assert task_name("take_iv") == OPERATIONS["take_iv"].task_name == "smurfq.take_iv"
    with pytest.raises(UnknownOperationError, match="did you mean 'take_iv'"):
        operation("smurfq.take_ivs")
    with pytest.raises(UnknownOperationError):
        operation(7)  # type: ignore[arg-type]


def test_the_fields_of_each_feed() -> None:
    def fields(name: str) -> set[str]:
        return set(OPERATIONS[name].feed_fields)

    def ends(*stems: str) -> set[str]:
        return {f"{stem}_{end}" for stem in stems for end in QUANTILE_ENDS}

    assert fields("take_noise") == ends("white_noise_level")
    assert fields("take_iv") == ends("Rn", "p_sat")
    biased = {f"biased_bg{group}" for group in range(12)} | {"biased_total"} | ends("Rfrac", "Si", "Rtes")
    assert fields("take_bias_steps") == fields("take_bias_waves") == biased
    assert fields("uxm_relock") == {
        f"{stem}_band{band}" for stem in ("alldet", "gooddet", "alarm") for band in range(8)
    }
    assert fields("check_state") == {"open_g3stream", "num_active_channels"}


GOOD = [
    ("uxm_setup", {"bands": 3}, {"bands": [3]}),
    ("uxm_setup", {"bands": (0, 7)}, {"bands": [0, 7]}),
    ("uxm_setup", {"bands": [1.0]}, {"bands": [1]}),
    ("zero_biases", {"bgs": 11}, {"bgs": [11]}),
    ("set_biases", {"bias": 0}, {"bias": 0.0}),
    ("set_biases", {"bias": -19.99}, {"bias": -19.99}),
    ("set_biases", {"bias": [1, 2], "bgs": (4, 5)}, {"bias": [1.0, 2.0], "bgs": [4, 5]}),
    ("set_biases", {"bias": list(range(12))}, {"bias": [float(n) for n in range(12)]}),
    ("bias_dets", {"rfrac": 0.5}, {"rfrac": 0.5}),
    ("bias_dets", {"rfrac": (0.3, 0.6)}, {"rfrac": [0.3, 0.6]}),
    ("take_bias_steps", {"rfrac_range": (0, 1.2)}, {"rfrac_range": [0.0, 1.2]}),
    ("run", {"script": Path("/a/b.py")}, {"script": "/a/b.py"}),
    (
        "run",
        {"script": "/a", "args": ["--bands", 0, 1.5, "--bgs", "0 1 2", "--UHF_wait", False], "log": "/l"},
        {"args": ["--bands", "0", "1.5", "--bgs", "0 1 2", "--UHF_wait", "False"], "log": "/l"},
    ),
    ("run", {"script": "/a", "log": False}, {"log": False}),
    ("stream", {"tag": "jupiter,rising", "subtype": "cmb"}, {"tag": "jupiter,rising", "subtype": "cmb"}),
    ("stream", {"stream_type": "oper", "duration": 1}, {"stream_type": "oper", "duration": 1.0}),
    ("take_noise", {"kwargs": {"nperseg": 1024, "g3_tag": "x"}, "tag": "y"}, {"tag": "y"}),
    ("uxm_setup", {"bands": [1], "kwargs": {"bands": [1]}}, {"bands": [1]}),
    ("take_iv", {"kwargs": {"analysis_kwargs": {"a": [1, None, True]}}}, {}),
    ("take_bias_steps", {"tag": "wiregrid, wg_before_wo_wg, wg_el90"}, {"tag": "wiregrid, wg_before_wo_wg, wg_el90"}),
    (
        "stream",
        {
            "subtype": "cal",
            "tag": "stimulator,gain,downsample_factor_8,filter_cutoff_157",
            "kwargs": {"downsample_factor": 8, "filter_disable": False, "filter_order": None, "filter_cutoff": 157},
        },
        {"subtype": "cal"},
    ),
    ("take_iv", {"tag": None, "kwargs": {"run_serially": False, "cool_wait": 60 * 5}}, {}),
]


@pytest.mark.parametrize(("name", "params", "expected"), GOOD)
def test_allowed_values_are_sent_as_json(name: str, params: dict[str, object], expected: dict[str, object]) -> None:
    checked = check(name, params)
    assert {key: checked[key] for key in expected} == expected
    assert json.loads(json.dumps(checked, allow_nan=False)) == checked


ENDLESS: dict[str, object] = {}
ENDLESS["itself"] = ENDLESS
BAD = [
    ("uxm_setup", "bands", 8),
    ("uxm_setup", "bands", -1),
    ("uxm_setup", "bands", []),
    ("uxm_setup", "bands", [1, 1]),
    ("uxm_setup", "bands", 1.5),
    ("uxm_setup", "bands", True),
    ("uxm_setup", "bands", "0"),
    ("uxm_setup", "bands", math.nan),
    ("zero_biases", "bgs", 16),
    ("zero_biases", "bgs", [0, None]),
    ("set_biases", "bias", 20.0),
    ("set_biases", "bias", math.nan),
    ("set_biases", "bias", math.inf),
    ("set_biases", "bias", "1"),
    ("set_biases", "bias", True),
    ("set_biases", "bias", []),
    ("set_biases", "bias", [1.0]),
    ("set_biases", "bias", {"0": 1}),
    ("bias_dets", "rfrac", 1.1),
    ("bias_dets", "rfrac", -0.1),
    ("bias_dets", "rfrac", [0.6, 0.3]),
    ("bias_dets", "rfrac", [0.3, 0.4, 0.5]),
    ("bias_dets", "rfrac", [0.3, math.nan]),
    ("take_bias_steps", "rfrac_range", [0.9, 0.2]),
    ("take_bias_steps", "rfrac_range", 0.5),
    ("take_noise", "duration", 0),
    ("take_noise", "duration", -1),
    ("take_noise", "duration", math.inf),
    ("take_noise", "duration", "30"),
    ("take_noise", "tag", "a b"),
    ("take_noise", "tag", "a,,b"),
    ("take_noise", "tag", "a , b"),
    ("take_noise", "tag", "a, "),
    ("take_noise", "tag", ""),
    ("take_noise", "tag", 3),
    ("take_noise", "kwargs", [1]),
    ("take_noise", "kwargs", {1: 2}),
    ("take_noise", "kwargs", {"x": math.nan}),
    ("take_noise", "kwargs", {"x": {"y": [math.inf]}}),
    ("take_noise", "kwargs", {"x": object()}),
    ("stream", "stream_type", "cal"),
    ("stream", "stream_type", ["obs"]),
    ("stream", "subtype", "a,b"),
    ("stream", "load_tune", 1),
    ("all_off", "disable_amps", "yes"),
    ("check_state", "poll_interval", 0),
    ("check_state", "once", "no"),
    ("run", "script", ""),
    ("run", "script", "a\0b"),
    ("run", "script", ["a"]),
    ("run", "script", "scripts/a.py"),
    ("run", "args", "--all"),
    ("run", "args", [None]),
    ("run", "args", [math.nan]),
    ("run", "args", [["a"]]),
    ("run", "log", 1),
    ("run", "log", " "),
    ("run", "log", "run.log"),
    ("take_noise", "duration", 10**400),
    pytest.param("take_noise", "duration", 10**5000, id="thousands of digits"),
    ("take_noise", "tag", "half\ud800"),
    ("take_noise", "tag", "\x1b[2J"),
    ("take_noise", "kwargs", {"a\udfff": 1}),
    ("take_noise", "kwargs", {"a": ["\0"]}),
    ("take_noise", "kwargs", {"a": 2**63}),
    ("take_noise", "kwargs", ENDLESS),
    ("run", "script", "/data/\udcff.py"),
    ("run", "args", ["\udcff"]),
]


@pytest.mark.parametrize(("name", "parameter", "value"), BAD)
@pytest.mark.parametrize("partial", [False, True])
def test_a_value_that_is_not_allowed_is_rejected(name: str, parameter: str, value: object, partial: bool) -> None:
    with pytest.raises(ParameterError) as caught:
        check(name, {**complete(name), parameter: value}, partial=partial)
    error = caught.value
    assert error.operation == name
    assert error.parameter == parameter
    assert error.allowed == OPERATIONS[name].parameter(parameter).allowed  # type: ignore[union-attr]
    assert parameter in str(error)
    assert "got" in str(error)


@pytest.mark.parametrize(
    ("name", "params", "keyword"),
    [
        ("take_noise", {"kwargs": {"acq_time": 5}}, "acq_time"),
        ("take_noise", {"kwargs": {"duration": 5}}, "duration"),
        ("uxm_setup", {"kwargs": {"bands": [2]}}, "bands"),
        ("uxm_setup", {"bands": [1], "kwargs": {"bands": [2]}}, "bands"),
        ("take_bias_waves", {"kwargs": {"rfrac_range": [0.3, 0.5]}}, "rfrac_range"),
        ("overbias_tes", {"bgs": [1], "kwargs": {"bias_groups": [2]}}, "bias_groups"),
        ("bias_dets", {"kwargs": {"rfrac": 0.5}}, "rfrac"),
        ("stream", {"kwargs": {"stream_type": "oper"}}, "stream_type"),
        ("stream", {"kwargs": {"subtype": "cal"}}, "subtype"),
        ("take_iv", {"kwargs": {"S": 1}}, "S"),
        ("take_iv", {"kwargs": {"cfg": 1}}, "cfg"),
    ],
)
def test_kwargs_may_not_contradict_a_parameter(name: str, params: dict[str, object], keyword: str) -> None:
    with pytest.raises(ParameterError, match=f"kwargs may not set {keyword!r}"):
        check(name, params)


def test_one_bias_for_each_bias_group_that_is_set() -> None:
    with pytest.raises(ParameterError, match="one for each of the 3 bias groups of bgs; got 2"):
        check("set_biases", {"bias": [1, 2], "bgs": [0, 1, 2]})
    with pytest.raises(ParameterError, match="one for each of all 12 to 16 bias groups of the slot; got 2"):
        check("set_biases", {"bias": [1, 2]})
    assert check("set_biases", {"bias": [1] * 15, "bgs": None})["bias"] == [1.0] * 15


def test_numpy_numbers_and_arrays_become_plain_ones() -> None:
    numpy = pytest.importorskip("numpy")
    checked = check("set_biases", {"bias": numpy.float32(1.5) * numpy.ones(2, "f4"), "bgs": numpy.array([3, 4])})
    assert checked == {"bias": [1.5, 1.5], "bgs": [3, 4]}
    assert {type(item) for values in checked.values() for item in values} == {float, int}
    with pytest.raises(ParameterError):
        check("set_biases", {"bias": numpy.float64("nan")})
    assert check("take_iv", {"kwargs": {"biases": numpy.arange(3)}})["kwargs"] == {"biases": [0, 1, 2]}


TEXTS = st.text("ab 0,/\0", max_size=6)  # letters suffice; all of Unicode takes seconds to set up
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(OPERATIONS)), st.data())
def test_any_value_is_either_plain_json_afterwards_or_refused(name: str, data: st.DataObject) -> None:
    names = [p.name for p in OPERATIONS[name].parameters] or ["anything"]
    params = data.draw(st.dictionaries(st.sampled_from(names), JSON_VALUES))
    try:
        checked = check(name, params, partial=True)
    except RequestError:
        return
    assert json.loads(json.dumps(checked, allow_nan=False)) == checked
    assert check(name, checked, partial=True) == checked


def test_a_duration_comes_on_top_of_the_time_limit() -> None:
    assert time_limit_for("take_noise", {"duration": 7200.0}) == 7200.0 + 900.0
    assert time_limit_for("stream", {"duration": None}) is None
    assert time_limit_for("stream", {"duration": 60.0}) == 180.0
    assert time_limit_for("smurfq.run", {"script": "/a"}) is None
    assert {name for name, item in OPERATIONS.items() if item.time_limit_s is None} == {
        "run",
        "stream",
        "check_state",
    }
    assert {name for name, item in OPERATIONS.items() if item.process} == {"stream", "check_state"}


def test_the_table_describes_itself_in_json() -> None:
    described = json.loads(json.dumps(describe(), allow_nan=False))
    assert [item["name"] for item in described] == list(OPERATIONS)
    (noise,) = (item for item in described if item["name"] == "take_noise")
    assert noise["parameters"][0] == {
        "name": "duration",
        "required": False,
        "allowed": "a number of seconds above 0",
        "doc": "duration of the stream",
        "default": 30.0,
    }
    assert "default" not in next(item for item in described if item["name"] == "run")["parameters"][0]


def test_an_operation_has_a_json_schema_with_sodetlibs_keywords() -> None:
    (described,) = (item for item in json.loads(json.dumps(describe())) if item["name"] == "take_noise")
    schema = described["schema"]
    assert schema["properties"]["duration"] == {
        "default": 30.0,
        "description": "duration of the stream",
        "exclusiveMinimum": 0,
        "title": "Duration",
        "type": "number",
    }
    keywords = schema["properties"]["kwargs"]["anyOf"][0]
    assert keywords["properties"]["nperseg"]["minimum"] == 2
    assert keywords["additionalProperties"] is True
    assert "required" not in schema
    assert OPERATIONS["uxm_setup"].model.model_json_schema()["properties"]["bands"]["anyOf"] == [
        {"exclusiveMaximum": 8, "minimum": 0, "type": "integer"},
        {"items": {"exclusiveMaximum": 8, "minimum": 0, "type": "integer"}, "minItems": 1, "type": "array"},
        {"type": "null"},
    ]


def test_a_model_rejects_what_check_rejects() -> None:
    model = OPERATIONS["set_biases"].model
    assert model.model_validate({"bias": 1, "bgs": 3}).model_dump() == {"bias": 1.0, "bgs": [3]}
    for wrong in ({}, {"bias": True}, {"bias": [1, 2], "bgs": [1]}, {"bias": 1, "bg": 1}):
        with pytest.raises(ValidationError):
            model.model_validate(wrong)


def test_of_several_mistakes_the_first_is_reported() -> None:
    for params, said in (
        ({"bands": 9, "tags": 1}, "has no parameter 'tags'"),
        ({"kwargs": 3, "bands": 9}, "parameter bands"),
        ({"kwargs": {"S": 1}, "bands": 9}, "parameter bands"),
        ({"kwargs": {"S": 1, "bands": 2}}, "may not set 'S'"),
    ):
        with pytest.raises(ParameterError, match=said):
            check("uxm_setup", params)


def test_the_table_needs_no_numpy() -> None:
    code = "import sys, smurfq.operations, smurfq.core.results; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("name", "kwargs", "said"),
    [
        ("take_iv", {"wait_time": 0}, "take_iv: wait_time in kwargs must be a number of seconds above 0; got 0"),
        ("take_iv", {"cool_wait": -1}, "cool_wait in kwargs must be a number of seconds from 0; got -1"),
        ("take_iv", {"cool_wait": None}, "cool_wait in kwargs must be a number of seconds from 0; got None"),
        ("take_iv", {"bias_step": -0.1}, "bias_step in kwargs must be a number above 0"),
        ("take_iv", {"bias_groups": [12]}, "bias_groups in kwargs must be a bias group 0-11"),
        ("take_iv", {"biases": []}, "biases in kwargs must be a list of voltages, or null"),
        ("take_iv", {"analysis_kwargs": [1]}, "analysis_kwargs in kwargs must be a JSON object"),
        ("take_bgmap", {"bgs": []}, "bgs in kwargs must be a bias group"),
        ("take_bias_steps", {"nsteps": 2.5}, "nsteps in kwargs must be a whole number from 0"),
        ("take_bias_steps", {"hcm_wait_time": "3"}, "hcm_wait_time in kwargs must be a number of seconds from 0"),
        ("take_bias_waves", {"freqs_wave": []}, "freqs_wave in kwargs must be a frequency above 0 Hz"),
        ("take_bias_waves", {"freqs_wave": [23, 0]}, "freqs_wave in kwargs must be a frequency above 0 Hz"),
        ("take_bias_waves", {"duration": -1}, "duration in kwargs must be a number of seconds above 0"),
        ("overbias_tes", {"biases": 3.0}, "biases in kwargs must be a list of voltages"),
        ("take_noise", {"nperseg": 1}, "nperseg in kwargs must be a whole number from 2"),
        ("take_noise", {"wl_f_range": [30, 10]}, "wl_f_range in kwargs must be an ascending pair"),
        ("stream", {"downsample_factor": 0}, "downsample_factor in kwargs must be a whole number from 1"),
    ],
)
def test_keywords_that_sodetlib_would_stumble_over_are_rejected(name: str, kwargs: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterError, match=re.escape(said)):
        check(name, {"kwargs": kwargs})


def test_keywords_are_passed_on_as_they_were_given() -> None:
    for name, kwargs in (
        ("take_iv", {"bias_groups": 3, "biases": None, "cool_wait": 0, "anything": {"else": 1}}),
        ("take_noise", {"nperseg": 512.0, "freq_spacing": None}),
        ("take_bias_waves", {"freqs_wave": 23, "bgs": None}),
        ("stream", {"filter_cutoff": None, "downsample_factor": 4}),
    ):
        assert check(name, {"kwargs": kwargs})["kwargs"] == kwargs
