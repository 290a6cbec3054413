"""Reduces the results that a canvas passes to its next step to references to their records."""

from __future__ import annotations

import re
import reprlib
from typing import Any

from smurfq.errors import ParameterError

_GROUPS_IN_GROUPS = 20
_TASK_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def previous_steps(operation: str, args: Any) -> list[Any]:
    """Return the positional arguments of an operation, with records replaced by references.

    Only Celery may pass a positional argument: the record of the previous step of a chain, the records of a chord's
    members, or, to an errback, the id of the task that failed. References keep the messages of a chain small.

    Raises
    ------
    ParameterError
        There is any other positional argument.
    """
    args = [value for value in args or () if value is not None]
    if len(args) > 1 or (args and not _is_record(args[0])):
        raise ParameterError(
            f"{operation}: parameters go by keyword, as in slot='crate1slot2'; got the positional {reprlib.repr(args)}",
            operation=operation,
        )
    return [_reference(args[0])] if args else []


def _is_record(value: Any, levels: int = _GROUPS_IN_GROUPS) -> bool:
    if isinstance(value, list):
        return levels > 0 and all(_is_record(item, levels - 1) for item in value)
    if isinstance(value, str):
        return _TASK_ID.fullmatch(value) is not None
    return isinstance(value, dict) and "session_id" in value


def _reference(value: Any) -> Any:
    if isinstance(value, list):
        return [_reference(item) for item in value]
    if isinstance(value, dict):
        return {name: value.get(name) for name in ("session_id", "op_name", "slot", "outcome")}
    return {"session_id": value}
