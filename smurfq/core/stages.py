"""The stages of an operation, as sodetlib or its log reports them.

``uxm_setup`` adds ``[name, time]`` to the list ``timestamps`` of its session data at the start of each stage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from smurfq.core.plain_values import is_number

KEY = "timestamps"

# In sodetlib 0.6.8, and for take_iv in its log (``smurf_control.logged_stages``). A run may omit some of them.
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
    "take_iv": ("overbias", "cool_wait", "sweep"),
    "uxm_relock": ("setup_amps", "load_tune", "tracking_setup", "noise", "bg_map", "end"),
}


def words(op_name: str, stage: str) -> str:
    """Format a stage with its number and their total, if these are known, for example ``setup_tune (4/7)``."""
    known = OF_OPERATION.get(op_name, ())
    return f"{stage} ({known.index(stage) + 1}/{len(known)})" if stage in known else stage


def new_stages(value: Any, known: Sequence[Any] = ()) -> list[tuple[str, float]]:
    """Return the stages in ``value`` of the session data ``timestamps`` that are not in its earlier value ``known``.

    The list is empty if ``value`` is not a list of ``[name, time]`` pairs, since a script may use the key otherwise.
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
            case [str(name), time] if is_number(time):
                stages.append((name, float(time)))
            case _:
                return None
    return stages
