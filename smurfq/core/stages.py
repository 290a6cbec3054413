"""The stages of an operation, as sodetlib tells them.

``uxm_setup`` sets the session data ``timestamps`` to a growing list of ``[name, time]``: one for each stage begun.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

KEY = "timestamps"


def new_stages(value: Any, known: Sequence[Any] = ()) -> list[tuple[str, float]]:
    """The stages in the session data ``timestamps`` = ``value`` that are not in its earlier value ``known``.

    Empty where ``value`` is no list of ``[name, time]`` pairs: a script may use the key for something else.
    """
    stages = _stages(value)
    if stages is None:
        return []
    before = set(_stages(known) or ())
    return [stage for stage in stages if stage not in before]


def _stages(value: Any) -> list[tuple[str, float]] | None:
    if not isinstance(value, list | tuple):
        return None
    stages = []
    for item in value:
        match item:
            case [str(name), int() | float() as time] if not isinstance(time, bool):
                stages.append((name, float(time)))
            case _:
                return None
    return stages
