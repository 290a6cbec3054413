"""The types of parameters. Each is a pydantic type with a check, and a description of the allowed values.

The checks expect plain Python types (see ``core.plain_values``), in pydantic's strict mode. A validated value is in the
form in which it is sent.
"""

from __future__ import annotations

import types
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Any, Final, Literal, TypeVar, Union, get_args, get_origin

from pydantic import AfterValidator, BeforeValidator, Field

from smurfq.core.card import MAX_BIAS_GROUPS, NUM_BANDS, NUM_BIAS_GROUPS
from smurfq.core.plain_values import is_number, is_text

MAX_BIAS_V: Final = 19.99  # a bipolar pair of 20-bit DACs of ±10 V each

Item = TypeVar("Item")


@dataclass(frozen=True)
class Allowed:
    """Metadata of a type: a description of the allowed values."""

    words: str


def allowed(kind: Any) -> str:
    """Return a description of the values that a type allows, from its ``Allowed`` or from its structure."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        words = [one.words for one in inner[1:] if isinstance(one, Allowed)]
        return words[-1] if words else allowed(inner[0])
    if origin in (Union, types.UnionType):
        words = [allowed(each) for each in inner if each is not types.NoneType]
        return " or ".join(words) + (", or null" if types.NoneType in inner else "")
    if origin is list:
        return f"a list, each item {allowed(inner[0])}"
    if origin is tuple:
        return f"a list of {len(inner)}: {', '.join(map(allowed, inner))}"
    simple = {types.NoneType: "null", bool: "true or false", list: "a list", tuple: "a list", dict: "a JSON object"}
    return simple.get(kind, "any value")


def _require(holds: bool) -> None:
    if not holds:
        raise ValueError


def _number(value: Any) -> float:
    _require(is_number(value))
    return float(value)


def _whole(value: Any) -> int:
    _require(is_number(value) and value == int(value))
    return int(value)


def _list_of(value: Any) -> Any:
    """Return ``value``, in a list if it is not one."""
    return value if isinstance(value, list) else [value]


def _all_different(values: list[Item]) -> list[Item]:
    _require(len(set(values)) == len(values))
    return values


def _without_duplicates(values: list[Item]) -> list[Item]:
    return list(dict.fromkeys(values))


def _ascending(pair: list[float]) -> list[float]:
    _require(pair[0] < pair[1])
    return pair


def _text(value: str) -> str:
    _require(is_text(value))
    return value


def _printable(value: str) -> str:
    _require(value.isprintable())
    return value


def _absolute(value: str) -> str:
    """Return a path if it is absolute. A worker does not know a producer's current folder."""
    _require(PurePosixPath(value).is_absolute())
    return value


def _workflow(value: str) -> str:
    _require(PurePosixPath(value).is_absolute() if "/" in value else value.isidentifier())
    return value


def _argument(value: Any) -> str:
    """Return an argument of a command line: Python's text of it, as the PysmurfController makes it."""
    _require(isinstance(value, bool) or is_number(value) or is_text(value))
    return str(value)


def _json_object(value: dict[str, Any]) -> dict[str, Any]:
    _require(_is_json(value))
    return value


def _is_json(value: Any) -> bool:
    if isinstance(value, dict):
        return all(is_text(key) and _is_json(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(_is_json, value))
    return value is None or isinstance(value, bool) or is_text(value) or is_number(value)


_FIRST_MATCH: Final = Field(union_mode="left_to_right")
_NOT_EMPTY: Final = Field(min_length=1)

# Bounds stand before these in an ``Annotated``, so that they are in the JSON Schema.
_NUMBER: Final = BeforeValidator(_number)
_WHOLE: Final = BeforeValidator(_whole)

Number = Annotated[float, _NUMBER, Allowed("a number")]
Whole = Annotated[int, _WHOLE, Allowed("a whole number")]
Text = Annotated[str, AfterValidator(_text), Allowed("a text")]

Flag = Annotated[bool, Allowed("true or false")]
Seconds = Annotated[float, Field(gt=0), _NUMBER, Allowed("a number of seconds above 0")]
Wait = Annotated[float, Field(ge=0), _NUMBER, Allowed("a number of seconds from 0")]
Positive = Annotated[float, Field(gt=0), _NUMBER, Allowed("a number above 0")]
Frequencies = Annotated[
    Positive | Annotated[list[Positive], _NOT_EMPTY],
    _FIRST_MATCH,
    Allowed("a frequency above 0 Hz, or a list of frequencies"),
]
Volts = Annotated[list[Number], _NOT_EMPTY, Allowed("a list of voltages")]
Band = Annotated[int, Field(ge=0, lt=NUM_BANDS), _WHOLE]
_DifferentBands = Annotated[list[Band], _NOT_EMPTY, AfterValidator(_all_different)]
Bands = Annotated[
    _DifferentBands,
    BeforeValidator(_list_of, json_schema_input_type=Band | _DifferentBands),
    Allowed(f"a band 0-{NUM_BANDS - 1}, or a list of different bands"),
]
BiasGroup = Annotated[int, Field(ge=0, lt=NUM_BIAS_GROUPS), _WHOLE]
_DifferentBiasGroups = Annotated[list[BiasGroup], _NOT_EMPTY, AfterValidator(_all_different)]
BiasGroups = Annotated[
    _DifferentBiasGroups,
    BeforeValidator(_list_of, json_schema_input_type=BiasGroup | _DifferentBiasGroups),
    Allowed(f"a bias group 0-{NUM_BIAS_GROUPS - 1}, or a list of different bias groups"),
]
_OwnBiasGroup = Annotated[int, Field(ge=0, lt=MAX_BIAS_GROUPS), _WHOLE]
_DifferentOwnBiasGroups = Annotated[list[_OwnBiasGroup], _NOT_EMPTY, AfterValidator(_all_different)]
OwnBiasGroups = Annotated[  # not limited to those that sodetlib knows
    _DifferentOwnBiasGroups,
    BeforeValidator(_list_of, json_schema_input_type=_OwnBiasGroup | _DifferentOwnBiasGroups),
    Allowed(f"a bias group of the slot (0-{MAX_BIAS_GROUPS - 1}), or a list of different ones"),
]
BiasVoltage = Annotated[float, Field(ge=-MAX_BIAS_V, le=MAX_BIAS_V), _NUMBER]
Bias = Annotated[
    BiasVoltage | Annotated[list[BiasVoltage], _NOT_EMPTY],
    _FIRST_MATCH,
    Allowed(f"a voltage within ±{MAX_BIAS_V} V, or a list with one for each bias group"),
]
Range = Annotated[
    list[Number],
    Field(min_length=2, max_length=2),
    AfterValidator(_ascending),
    Allowed("an ascending pair [low, high] of numbers"),
]
Fraction = Annotated[float, Field(ge=0, le=1), _NUMBER]
Rfrac = Annotated[
    Fraction | Annotated[list[Fraction], Field(min_length=2, max_length=2), AfterValidator(_ascending)],
    _FIRST_MATCH,
    Allowed("a number from 0 to 1, or an ascending pair [low, high] of such numbers"),
]
JsonObject = Annotated[
    dict[str, Any],
    AfterValidator(_json_object),
    Allowed("a JSON object of keyword arguments with finite numbers"),
]
Word = Annotated[
    str,
    Field(pattern=r"^[^\s,]+$"),
    AfterValidator(_printable),
    Allowed("a word without commas or spaces"),
]
Tag = Annotated[
    str,
    Field(pattern=r"^[^\s,]+(, *[^\s,]+)*$"),  # sorunlib's tags of a wire grid have spaces after their commas
    AfterValidator(_printable),
    Allowed("a word, or several separated by commas"),
]
StreamType = Annotated[Literal["obs", "oper"], Allowed("'obs' or 'oper'")]
AbsolutePath = Annotated[Text, AfterValidator(_absolute), Allowed("an absolute path")]
Log = Annotated[
    bool | AbsolutePath,
    _FIRST_MATCH,
    Allowed("true (the worker's log), an absolute path, or false"),
]
Arguments = Annotated[
    list[Annotated[str, BeforeValidator(_argument, json_schema_input_type=str | float | bool)]],
    Allowed("a list of strings, numbers and booleans"),
]
WorkflowName = Annotated[
    Text,
    AfterValidator(_workflow),
    Allowed("the name of a workflow of smurfq, or the absolute path of a file"),
]
Slots = Annotated[
    list[str],
    _NOT_EMPTY,
    BeforeValidator(_list_of, json_schema_input_type=str | list[str]),
    AfterValidator(_without_duplicates),
    Allowed("the place or stream id of a slot, or a list of them"),
]
Count = Annotated[int, Field(ge=0), _WHOLE, Allowed("a whole number from 0")]
Factor = Annotated[int, Field(ge=1), _WHOLE, Allowed("a whole number from 1")]
Several = Annotated[int, Field(ge=2), _WHOLE, Allowed("a whole number from 2")]
