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

from smurfq.core.card import NUM_BANDS, NUM_BIAS_GROUPS

MAX_BIAS_V: Final = 19.99  # a bipolar pair of 20-bit DACs of ±10 V each
DEEPEST: Final = 50  # levels of lists and tables in a parameter; what is deeper, Python itself may not take apart
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

    Raises
    ------
    ValueError
        It is nested more than ``DEEPEST`` levels deep, or without end.
    """
    return _native(value, DEEPEST)


def _native(value: Any, levels: int) -> Any:
    if levels < 0:
        raise ValueError(f"it is nested more than {DEEPEST} levels deep")
    if isinstance(value, Mapping):
        return {key: _native(item, levels - 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_native(item, levels - 1) for item in value]
    if callable(to_list := getattr(value, "tolist", None)):
        return _native(to_list(), levels - 1)
    if isinstance(value, bool):
        return value
    if isinstance(value, Real):
        return int(value) if isinstance(value, Integral) else float(value)
    return str(value) if isinstance(value, PurePath) else value


def is_number(value: Any) -> bool:
    """Whether ``value`` is a finite number, which a bool is not; an integer has 64 bits at most."""
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) < 2**63
    return isinstance(value, float) and math.isfinite(value)


def is_text(value: Any) -> bool:
    """Whether ``value`` is a string that a file, an environment and a command line can hold: UTF-8 without NUL."""
    return isinstance(value, str) and "\0" not in value and not any("\ud800" <= sign <= "\udfff" for sign in value)


def _require(holds: bool) -> None:
    if not holds:
        raise ValueError


def _flag(value: Any) -> bool:
    _require(isinstance(value, bool))
    return bool(value)


def _positive(value: Any) -> float:
    _require(is_number(value) and value > 0)
    return float(value)


def _wait(value: Any) -> float:
    _require(is_number(value) and value >= 0)
    return float(value)


def _frequencies(value: Any) -> Any:
    items = value if isinstance(value, list) else [value]
    _require(bool(items) and all(is_number(item) and item > 0 for item in items))
    return value


def _volts(value: Any) -> list[float]:
    _require(isinstance(value, list) and bool(value) and all(map(is_number, value)))
    return [float(item) for item in value]


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
    _require(isinstance(value, dict) and _is_json(value))
    return dict(value)


def _is_json(value: Any) -> bool:
    if isinstance(value, dict):
        return all(is_text(key) and _is_json(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(_is_json, value))
    return value is None or isinstance(value, bool) or is_text(value) or is_number(value)


def _text_like(pattern: re.Pattern[str]) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        _require(isinstance(value, str) and value.isprintable() and pattern.fullmatch(value) is not None)
        return str(value)

    return check


def _stream_type(value: Any) -> str:
    _require(value in STREAM_TYPES)
    return str(value)


def _path(value: Any) -> str:
    """An absolute path: a producer's current folder means nothing to a worker."""
    _require(is_text(value) and PurePosixPath(value).is_absolute())
    return str(value)


def _arguments(value: Any) -> list[str]:
    _require(isinstance(value, list))
    _require(all(is_number(item) or is_text(item) for item in value))
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


def _whole_from(least: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        _require(is_number(value) and value == int(value) and value >= least)
        return int(value)

    return check


KINDS: Final[Mapping[str, Kind]] = {
    "flag": Kind("true or false", _flag),
    "seconds": Kind("a number of seconds above 0", _positive),
    "wait": Kind("a number of seconds from 0", _wait),
    "above_0": Kind("a number above 0", _positive),
    "frequencies": Kind("a frequency above 0 Hz, or a list of such", _frequencies),
    "volts": Kind("a list of voltages", _volts),
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
    "count": Kind("a whole number from 0", _whole_from(0)),
    "factor": Kind("a whole number from 1", _whole_from(1)),
    "several": Kind("a whole number from 2", _whole_from(2)),
    "log": Kind("true (the worker's log), an absolute path, or false", _log),
}
