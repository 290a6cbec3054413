"""The kinds of parameters that operations take, and what makes a value one of a kind.

A check gets a value of plain Python types (arrays and tuples are lists by then) and returns it as it goes on
the wire, or raises ``ValueError``. What is allowed stands in words beside each check, for messages and
documentation.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import PurePath, PurePosixPath
from typing import Any, Final

NUM_BANDS: Final = 8
NUM_BIAS_GROUPS: Final = 12
MAX_BIAS_V: Final = 19.99  # a bipolar pair of 20-bit DACs of ±10 V each
STREAM_TYPES: Final = ("obs", "oper")

_WORD = re.compile(r"[^\s,]+")
_WORDS = re.compile(r"[^\s,]+(,[^\s,]+)*")


@dataclass(frozen=True)
class Kind:
    """A kind of parameter: what is allowed, in words, and the check of a value."""

    allowed: str
    check: Callable[[Any], Any]


def native(value: Any) -> Any:
    """``value`` made of plain Python types: arrays and tuples are lists, numpy's numbers are numbers.

    Not a number and infinity stay what they are; it is for a check to refuse them.
    """
    if isinstance(value, Mapping):
        return {key: native(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [native(item) for item in value]
    if callable(to_list := getattr(value, "tolist", None)):
        return native(to_list())
    if isinstance(value, bool):
        return value
    if isinstance(value, Real):
        return int(value) if isinstance(value, Integral) else float(value)
    return str(value) if isinstance(value, PurePath) else value


def is_number(value: Any) -> bool:
    """Whether ``value`` is a finite number, which a bool is not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _require(holds: bool) -> None:
    if not holds:
        raise ValueError


def _flag(value: Any) -> bool:
    _require(isinstance(value, bool))
    return bool(value)


def _positive(value: Any) -> float:
    _require(is_number(value) and value > 0)
    return float(value)


def _numbers_below(limit: int) -> Callable[[Any], list[int]]:
    def check(value: Any) -> list[int]:
        items = value if isinstance(value, list) else [value]
        _require(bool(items) and all(is_number(item) and item == int(item) for item in items))
        numbers = [int(item) for item in items]
        _require(all(0 <= number < limit for number in numbers) and len(set(numbers)) == len(numbers))
        return numbers

    return check


def _bias(value: Any) -> float | list[float]:
    items = value if isinstance(value, list) else [value]
    _require(bool(items) and all(is_number(item) and abs(item) <= MAX_BIAS_V for item in items))
    biases = [float(item) for item in items]
    return biases if isinstance(value, list) else biases[0]


def _ascending_pair(value: Any) -> list[float]:
    _require(isinstance(value, list) and len(value) == 2 and all(map(is_number, value)))
    low, high = (float(item) for item in value)
    _require(low < high)
    return [low, high]


def _rfrac(value: Any) -> float | list[float]:
    if isinstance(value, list):
        low, high = _ascending_pair(value)
        _require(low >= 0 and high <= 1)
        return [low, high]
    _require(is_number(value) and 0 <= value <= 1)
    return float(value)


def _keywords(value: Any) -> dict[str, Any]:
    _require(isinstance(value, dict) and all(isinstance(key, str) for key in value) and _is_json(value))
    return dict(value)


def _is_json(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(_is_json, value))
    return value is None or isinstance(value, bool | str) or is_number(value)


def _text_like(pattern: re.Pattern[str]) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        _require(isinstance(value, str) and pattern.fullmatch(value) is not None)
        return str(value)

    return check


def _stream_type(value: Any) -> str:
    _require(value in STREAM_TYPES)
    return str(value)


def _path(value: Any) -> str:
    """An absolute path: a producer's current folder means nothing to a worker."""
    _require(isinstance(value, str) and "\0" not in value and PurePosixPath(value).is_absolute())
    return str(value)


def _arguments(value: Any) -> list[str]:
    _require(isinstance(value, list))
    _require(all(is_number(item) or (isinstance(item, str) and "\0" not in item) for item in value))
    return [str(item) for item in value]


def _log(value: Any) -> bool | str:
    return value if isinstance(value, bool) else _path(value)


def _workflow(value: Any) -> str:
    """The name of a shipped workflow, or the absolute path of a file."""
    if isinstance(value, str) and "/" in value:
        return _path(value)
    _require(isinstance(value, str) and value.isidentifier())
    return str(value)


def _slots(value: Any) -> list[str]:
    items = [value] if isinstance(value, str) else value
    _require(isinstance(items, list) and bool(items) and all(isinstance(item, str) for item in items))
    return list(dict.fromkeys(items))


def _count(value: Any) -> int:
    _require(isinstance(value, int) and not isinstance(value, bool) and value >= 0)
    return int(value)


KINDS: Final[Mapping[str, Kind]] = {
    "flag": Kind("true or false", _flag),
    "seconds": Kind("a number of seconds above 0", _positive),
    "bands": Kind("a band 0-7, or a list of different ones", _numbers_below(NUM_BANDS)),
    "bgs": Kind("a bias group 0-11, or a list of different ones", _numbers_below(NUM_BIAS_GROUPS)),
    "bias": Kind(f"a voltage within ±{MAX_BIAS_V} V, or a list of one per bias group", _bias),
    "rfrac": Kind("a number 0-1, or an ascending pair [low, high] of them", _rfrac),
    "range": Kind("an ascending pair [low, high] of numbers", _ascending_pair),
    "kwargs": Kind("a JSON object of keyword arguments, its numbers finite", _keywords),
    "word": Kind("a word without commas and white space", _text_like(_WORD)),
    "tag": Kind("a word, or several with commas between them, without white space", _text_like(_WORDS)),
    "stream_type": Kind(" or ".join(map(repr, STREAM_TYPES)), _stream_type),
    "path": Kind("an absolute path", _path),
    "arguments": Kind("a list of strings and numbers", _arguments),
    "workflow": Kind("the name of a shipped workflow, or the absolute path of a file", _workflow),
    "slots": Kind("a slot id, or a list of them", _slots),
    "count": Kind("a whole number from 0", _count),
    "log": Kind("true (the worker's log), an absolute path, or false", _log),
}
