"""The stages of an operation, as sodetlib reports them.

``uxm_setup`` sets the session data ``timestamps`` to a growing list of ``[name, time]``: one for each stage begun.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

KEY = "timestamps"

# In sodetlib 0.6.8. A run may leave some out, if it is told to.
OF_OPERATION: Final[Mapping[str, tuple[str, ...]]] = {
    "uxm_setup": (
        "setup_amps",
        "estimate_attens",
        "setup_phase_delay",
        "setup_tune",
        "setup_tracking",
        "noise",
        "end",
    ),
    "uxm_relock": ("setup_amps", "load_tune", "tracking_setup", "noise", "bg_map", "end"),
}


def words(op_name: str, stage: str) -> str:
    """A stage for people: with its number and how many there are, where that is known, as ``setup_tune (4/7)``."""
    known = OF_OPERATION.get(op_name, ())
    return f"{stage} ({known.index(stage) + 1}/{len(known)})" if stage in known else stage


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
