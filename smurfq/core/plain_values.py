"""Converts values to plain Python types, and checks numbers and text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Integral, Real
from pathlib import PurePath
from typing import Any, Final

DEEPEST: Final = 50  # levels of nested lists and tables; far deeper ones exceed the recursion limit of Python


def native(value: Any) -> Any:
    """Return ``value`` made of plain Python types: arrays and tuples become lists, numpy's numbers plain numbers.

    NaN and infinity stay as they are; a check of the value must reject them.

    Raises
    ------
    ValueError
        The value is nested more than ``DEEPEST`` levels deep.
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
    """Return whether ``value`` is a finite number of at most 64 bits. A bool is not a number."""
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) < 2**63
    return isinstance(value, float) and math.isfinite(value)


def is_text(value: Any) -> bool:
    """Return whether ``value`` is text that files, environments and command lines can hold: UTF-8 without NUL."""
    return isinstance(value, str) and "\0" not in value and not any("\ud800" <= sign <= "\udfff" for sign in value)


def shown(value: Any) -> str:
    """Format ``value`` for an error message, in at most 200 characters."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deep, or an integer with thousands of digits
        text = f"<{type(value).__name__}, too large to be shown>"
    return text if len(text) <= 200 else f"{text[:197]}..."
