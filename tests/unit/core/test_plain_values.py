"""Values become plain Python types, and errors show at most a part of them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from smurfq.core.plain_values import DEEPEST, is_number, is_text, native, shown


def test_tuples_and_paths_become_what_json_has() -> None:
    assert native({"a": (1, (Path("/b"), True))}) == {"a": [1, ["/b", True]]}
    assert math.isnan(native(math.nan))


def test_numpys_values_become_pythons() -> None:
    numpy = pytest.importorskip("numpy")
    found = native([numpy.int32(1), numpy.float32(0.5), numpy.bool_(True), numpy.arange(2)])
    assert found == [1, 0.5, True, [0, 1]]
    assert [type(one) for one in found] == [int, float, bool, list]


def test_a_value_that_is_nested_too_deep_is_rejected() -> None:
    value: Any = 1
    for _ in range(DEEPEST):
        value = [value]
    assert native(value) == value
    with pytest.raises(ValueError, match=f"nested more than {DEEPEST} levels deep"):
        native([value])


@pytest.mark.parametrize("value", [0, -1.5, 2**63 - 1, 1e300])
def test_a_finite_number_is_a_number(value: object) -> None:
    assert is_number(value)


@pytest.mark.parametrize("value", [True, math.nan, -math.inf, 2**63, -(2**63), "1", None])
def test_other_values_are_no_numbers(value: object) -> None:
    assert not is_number(value)


def test_text_has_no_nul_and_is_utf8() -> None:
    assert is_text("é")
    assert not any(map(is_text, ("\0", "\udcff", b"a", None)))


def test_an_error_shows_at_most_200_characters_of_a_value() -> None:
    assert shown("a") == "'a'"
    assert shown("a" * 300) == "'" + "a" * 196 + "..."
    assert shown(10**5000) == "<int, too large to be shown>"
