"""The types that a workflow's parameters may have: read from the source, and checked against what is given. Pure."""

from __future__ import annotations

import ast
import math
import types
from collections.abc import Mapping
from typing import Any, Union, get_args, get_origin

_SIMPLE: Mapping[Any, str] = {float: "a number", int: "a whole number", str: "a text", bool: "true or false"}
_NAMED: Mapping[str, Any] = {
    **{kind.__name__: kind for kind in (float, int, str, bool, list, tuple, dict)},
    "Any": Any,
}


def read(annotation: ast.expr | None) -> Any:
    """The type that an annotation names; ``Any`` where there is none.

    Raises
    ------
    ValueError
        It is not of the allowed ones.
    """
    match annotation:
        case None:
            return Any
        case ast.Constant(value=None):
            return type(None)
        case ast.Constant(value=str(text)):
            return read(ast.parse(text, mode="eval").body)
        case ast.Name(id=name) if name in _NAMED:
            return _NAMED[name]
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return Union[read(left), read(right)]  # noqa: UP007 - made at run time
        case ast.Subscript(value=ast.Name(id="dict")):
            return dict
        case ast.Subscript(value=ast.Name(id="list"), slice=item):
            return list[read(item)]  # type: ignore[misc]
        case ast.Subscript(value=ast.Name(id="tuple"), slice=ast.Tuple(elts=items)):
            return tuple[tuple(read(item) for item in items)]  # type: ignore[misc]
    raise ValueError(ast.unparse(annotation))


def check(kind: Any, value: Any) -> Any:
    """``value`` as a parameter of the type ``kind``; a whole number does for a float, a list for a tuple.

    Raises
    ------
    ValueError
        It is of another type.
    """
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        return _first(inner, value)
    if list in (kind, origin):
        _require(isinstance(value, list))
        return [check(inner[0] if inner else Any, item) for item in value]
    if origin is tuple:
        _require(isinstance(value, list) and len(value) == len(inner))
        return tuple(check(each, item) for each, item in zip(inner, value, strict=True))
    if kind is tuple:
        _require(isinstance(value, list))
        return tuple(value)
    if kind is float:
        _require(isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value))
        return float(value)
    _require(isinstance(value, kind) and (kind is bool or not isinstance(value, bool)))
    return value


def allowed(kind: Any) -> str:
    """What is allowed, in words."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind is type(None):
        return "null"
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    if origin in (Union, types.UnionType):
        return " or ".join(allowed(each) for each in sorted(inner, key=lambda each: each is not type(None)))
    if origin is list:
        return f"a list, each item {allowed(inner[0])}"
    if origin is tuple:
        return f"a list of {len(inner)}: {', '.join(allowed(each) for each in inner)}"
    if kind in (list, tuple):
        return "a list"
    return "a JSON object" if kind is dict else "any value"


def _first(kinds: tuple[Any, ...], value: Any) -> Any:
    for each in kinds:
        try:
            return check(each, value)
        except ValueError:
            continue
    raise ValueError(value)


def _require(holds: bool) -> None:
    if not holds:
        raise ValueError
