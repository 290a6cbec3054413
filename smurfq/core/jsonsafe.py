"""Encodes and decodes smurfq's JSON: strict when writing, lenient when reading.

NaN and infinity are ``null`` on the wire; numpy scalars and arrays are plain numbers and lists. The Publisher's own
bare ``NaN`` and ``Infinity`` tokens are accepted and become ``None``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

_FLOAT_BITS = 1024  # a larger integer is infinity for most readers, and Python does not print very large ones
_SURROGATE = "\\ud"  # the prefix of every escaped surrogate in JSON text, also of valid pairs

JSON = None | bool | int | float | str | list["JSON"] | dict[str, "JSON"]


def dumps(value: Any) -> str:
    """Return ``value`` as JSON text without white space. Values of unknown types become their ``repr``.

    A lone surrogate becomes U+FFFD, since Redis's Lua and most other JSON readers reject it.
    """
    try:
        text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError):
        text = json.dumps(plain(value), separators=(",", ":"), allow_nan=False)
    return json.dumps(plain(value), separators=(",", ":"), allow_nan=False) if _SURROGATE in text else text


def loads(text: str | bytes) -> Any:
    """Parse JSON ``text``; ``NaN`` and ``±Infinity`` become ``None``."""
    return json.loads(text, parse_constant=_no_number, parse_float=_finite)


def plain(value: Any) -> JSON:
    """Convert ``value`` to JSON: NaN, infinity and huge integers become ``None``, arrays lists, keys strings."""
    if isinstance(value, str):
        return _characters(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if value.bit_length() <= _FLOAT_BITS else None
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {_characters(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return [plain(item) for item in sorted(value, key=repr)]
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, PurePath):
        return _characters(str(value))
    if callable(to_list := getattr(value, "tolist", None)):  # numpy scalars and arrays, without importing numpy
        listed = to_list()
        if type(listed) is not type(value):
            return plain(listed)
    if isinstance(value, complex):
        return {"real": plain(value.real), "imag": plain(value.imag)}
    return _characters(repr(value))


def nested_deeper(value: Any, levels: int) -> bool:
    """Return whether lists and tables in ``value`` are nested more than ``levels`` deep."""
    layer = [value]
    for _ in range(levels + 1):
        containers = [item for item in layer if isinstance(item, Mapping | list | tuple)]
        if not containers:
            return False
        layer = [inner for item in containers for inner in (item.values() if isinstance(item, Mapping) else item)]
    return True


def _characters(text: str) -> str:
    """Return ``text`` with lone surrogates replaced."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _no_number(_token: str) -> None:
    return None


def _finite(token: str) -> float | None:
    number = float(token)
    return number if math.isfinite(number) else None
