"""Rejects malformed frames of an operation, before they reach its record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from smurfq.core.jsonsafe import nested_deeper
from smurfq.core.messages import MAX_DEPTH
from smurfq.operation_process.session import CARD_AT_START
from smurfq.operation_process.wire import MalformedFrameError

_LATEST_S: Final = 2.5e11  # the year 9892: a later time cannot be a date
Check = Callable[[Any], bool]


def _is(*kinds: type) -> Check:
    return lambda value: isinstance(value, kinds)


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) and not nested_deeper(value, MAX_DEPTH)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 256 and value.isprintable()


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _LATEST_S


def _is_card_state(value: Any) -> bool:
    return value is None or (isinstance(value, Mapping) and all(_is_register(one) for one in value.values()))


def _is_register(value: Any) -> bool:
    numbers = value if isinstance(value, list) else [value]
    return value is None or all(isinstance(number, int) for number in numbers)


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _is_header(value: Any) -> bool:
    return isinstance(value, Mapping) and all(name in _HEADER and _HEADER[name](one) for name, one in value.items())


_HEADER: Final[Mapping[str, Check]] = {  # the fields that an operation may set; all others are the worker's
    "degraded": _is(bool),
    "simulated": _is(bool),
    "software": _is_table,
    "tunefile": _is(str, type(None)),
}

# By kind: the fields that a frame must have, and those that it may have.
_SHAPES: Final[Mapping[str, tuple[Mapping[str, Check], Mapping[str, Check]]]] = {
    "message": ({"t": _is_time, "text": _is(str)}, {}),
    "stage": ({"t": _is_time, "name": _is(str)}, {}),
    "data": ({"t": _is_time}, {"set": _is_table, "remove": _is_names, "kept": _is(bool)}),
    "header": ({"t": _is_time, "set": _is_header}, {}),
    CARD_AT_START: ({"t": _is_time}, {"state": _is_card_state}),
    "feed": ({"t": _is_time, "name": _is_name, "slot": _is_name, "data": _is_table}, {}),
    "result": (
        {"ok": _is(bool)},
        {"aborted": _is(bool), "type": _is(str), "message": _is(str), "fields": _is_table, "traceback": _is(str)},
    ),
}


def check(frame: Any) -> dict[str, Any]:
    """Return the frame if it is a valid frame of an operation.

    Raises
    ------
    MalformedFrameError
        The frame is no JSON object, has an unknown kind, lacks a field, or has a field of a wrong type.
    """
    if not isinstance(frame, dict) or not isinstance(kind := frame.get("k"), str) or kind not in _SHAPES:
        raise MalformedFrameError(f"a frame of an unknown kind: {repr(frame)[:80]}")
    must, may = _SHAPES[kind]
    for name, fits in must.items():
        if not fits(frame.get(name)):
            raise MalformedFrameError(f"a {kind} whose {name!r} is {repr(frame.get(name))[:80]}")
    for name, value in frame.items():
        if name != "k" and name not in must and not (name in may and may[name](value)):
            raise MalformedFrameError(f"a {kind} with {name[:80]!r}: {repr(value)[:80]}")
    if kind == "result" and not frame["ok"] and not may.keys() <= frame.keys():
        raise MalformedFrameError(f"a result without {', '.join(sorted(may.keys() - frame.keys()))}")
    return frame
