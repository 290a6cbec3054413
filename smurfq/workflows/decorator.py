"""The decorator ``@workflow``, which marks a function as a workflow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])
_MARK = "__smurfq_workflow__"


def workflow(function: F) -> F:
    """Mark a function as the workflow of its file. The function's parameters and types are those of the workflow.

    Allowed types are float, int, str, bool, dict, list[…], tuple[…, …], and ``… | None``.
    """
    setattr(function, _MARK, True)
    return function


def is_workflow(value: Any) -> bool:
    """Return whether a value is a function marked with ``@workflow``."""
    return callable(value) and getattr(value, _MARK, False) is True
