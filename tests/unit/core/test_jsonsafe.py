"""JSON: strict when writing, lenient when reading."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smurfq.core.jsonsafe import dumps, loads, nested_deeper, plain

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def without_nan(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, list):
        return [without_nan(item) for item in value]
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    return value


@given(values)
def test_a_round_trip_changes_nothing_but_nan_and_infinity(value: object) -> None:
    assert loads(dumps(value)) == without_nan(value)


@given(values)
def test_output_is_strict_json(value: object) -> None:
    json.loads(dumps(value), parse_constant=pytest.fail)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_the_publishers_nan_and_infinity_become_null(text: str) -> None:
    assert loads(f'{{"x": [{text}]}}') == {"x": [None]}


def test_an_integer_with_thousands_of_digits_becomes_null() -> None:
    assert dumps({"x": [10**5000, 10**20]}) == '{"x":[null,100000000000000000000]}'


def test_numpy_becomes_plain_numbers_and_lists() -> None:
    value = {
        "array": np.array([[1.0, np.nan], [np.inf, 4.0]]),
        "int": np.int64(5),
        "float": np.float32(0.5),
        "bool": np.bool_(True),
        "tuple": (1, 2),
        3: "key",
        "text": np.array(["a"]),
        "complex": np.complex128(1 + 2j),
    }
    assert loads(dumps(value)) == {
        "array": [[1.0, None], [None, 4.0]],
        "int": 5,
        "float": 0.5,
        "bool": True,
        "tuple": [1, 2],
        "3": "key",
        "text": ["a"],
        "complex": {"real": 1.0, "imag": 2.0},
    }
    assert type(plain(np.bool_(True))) is bool


def test_the_last_resort_is_repr() -> None:
    class Odd:
        def __repr__(self) -> str:
            return "<odd>"

    assert dumps([Odd()]) == '["<odd>"]'


@pytest.mark.parametrize("value", ["a\ud800", {"\udfff": 1}, ["\ud83d", "\ude00"], {"x": [{"y": "\udc80"}]}])
def test_a_lone_surrogate_becomes_the_replacement_character(value: object) -> None:
    """Redis's Lua refuses it, and so does every encoder to UTF-8."""
    text = dumps(value)
    assert "\\ufffd" in text
    assert "\\ud" not in text
    json.dumps(loads(text), ensure_ascii=False).encode()


def test_characters_beyond_the_first_plane_stay() -> None:
    assert loads(dumps({"\U0001f600": "\ud83d\ude00 \\udev"})) == {"\U0001f600": "\U0001f600 \\udev"}


@pytest.mark.parametrize(("value", "levels"), [(1, 0), ([], 1), ([[1], 2], 2), ({"a": ({"b": 1},)}, 3)])
def test_nested_deeper_counts_levels(value: object, levels: int) -> None:
    assert not nested_deeper(value, levels)
    assert levels == 0 or nested_deeper(value, levels - 1)
