"""Reads the types of a workflow's parameters from its source, without running it."""

from __future__ import annotations

import ast
import operator
import types
from collections.abc import Mapping
from functools import reduce
from typing import Annotated, Any, Final, Union, get_origin

from pydantic import BeforeValidator, Field

from smurfq.operations.kinds import Allowed, Flag, Number, Text


def _to_tuple(value: Any) -> Any:
    """Convert a list, with which JSON represents a tuple, to a tuple."""
    return tuple(value) if isinstance(value, list) else value


_TO_TUPLE: Final = BeforeValidator(_to_tuple)
_NAMED: Final[Mapping[str, Any]] = {
    "float": Number,
    "int": Annotated[int, Field(gt=-(2**63), lt=2**63), Allowed("a whole number")],
    "str": Text,
    "bool": Flag,
    "list": list,
    "tuple": Annotated[tuple, _TO_TUPLE],
    "dict": dict,
    "Any": Any,
}


def read(annotation: ast.expr | None) -> Any:
    """Return the type that an annotation names, with its check; ``Any`` if there is no annotation.

    A whole number is allowed for a float, and a list for a tuple. In a union, the first type that matches is used.

    Raises
    ------
    ValueError
        The type is not one of the allowed types.
    """
    match annotation:
        case None:
            return Any
        case ast.Constant(value=None):
            return types.NoneType
        case ast.Constant(value=str(text)):
            return read(ast.parse(text, mode="eval").body)
        case ast.Name(id=name) if name in _NAMED:
            return _NAMED[name]
        case ast.BinOp(op=ast.BitOr()):
            return _union([read(member) for member in _members(annotation)])
        case ast.Subscript(value=ast.Name(id="dict")):
            return dict
        case ast.Subscript(value=ast.Name(id="list"), slice=item):
            return list[read(item)]  # type: ignore[misc]
        case ast.Subscript(value=ast.Name(id="tuple"), slice=ast.Tuple(elts=items)):
            return Annotated[tuple[tuple(read(item) for item in items)], _TO_TUPLE]  # type: ignore[misc]
    raise ValueError(ast.unparse(annotation))


def _members(union: ast.expr) -> list[ast.expr]:
    match union:
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return [*_members(left), *_members(right)]
    return [union]


def _union(kinds: list[Any]) -> Any:
    others = [kind for kind in kinds if kind is not types.NoneType]
    if not others:
        return types.NoneType
    union = reduce(operator.or_, others)
    if get_origin(union) in (Union, types.UnionType):  # false if all members are the same type
        # A new Field each time: `typing` caches by equality, and would return int | float for float | int.
        union = Annotated[union, Field(union_mode="left_to_right")]
    return union if len(others) == len(kinds) else union | None
