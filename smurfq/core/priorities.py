"""The three priorities of a queue, with their names and Celery's numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from smurfq.errors import ParameterError

Priority = Literal["urgent", "normal", "background"]

PRIORITIES: Final[Mapping[str, int]] = {"urgent": 0, "normal": 5, "background": 9}
"""The lowest number is served first, as in kombu's Redis transport."""

NORMAL: Final = PRIORITIES["normal"]
_NAMES: Final = {number: name for name, number in PRIORITIES.items()}


def priority_number(value: Any, operation: str) -> int:
    """Return Celery's number for a priority, given by its name or by that number; None means ``normal``.

    Raises
    ------
    ParameterError
        The priority does not exist.
    """
    if value is None:
        return NORMAL
    if isinstance(value, str) and value in PRIORITIES:
        return PRIORITIES[value]
    if isinstance(value, int) and not isinstance(value, bool) and value in _NAMES:
        return value
    allowed = ", ".join(f"{name} ({number})" for name, number in PRIORITIES.items())
    raise ParameterError(
        f"{operation}: there is no priority {value!r}; give one of {allowed}",
        operation=operation,
        parameter="priority",
        got=value,
        allowed=list(PRIORITIES),
    )


def priority_name(number: int) -> str:
    """Return the name of a priority, or the number as text if it has no name."""
    return _NAMES.get(number, str(number))
