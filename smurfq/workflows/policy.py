"""When a workflow goes on without a slot, tries again, or ends. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TypedDict

from smurfq.core import operations
from smurfq.errors import ParameterError
from smurfq.workflows.report import SlotOutcome, SlotReport

QUEUE_ALLOWANCE_S = 600.0  # beside an operation's own time limit, for what waits in front of it
RETRIED = frozenset({SlotOutcome.FAILED, SlotOutcome.LOST, SlotOutcome.TIMED_OUT})


class How(TypedDict, total=False):
    """How a step is done; each may be given to every function of the workflows.

    ``targets``: on these slots only. ``stagger_s``: so long between the starts on two slots. ``deadline_s``: from the
    moment it is queued on a slot; what is not over by then is stopped, and counts as failed there; else the
    operation's own time limit and ten minutes for what waits in front of it. ``retries``: so many more tries for a
    slot where it failed, of operations that are safe to repeat. ``min_survivors``, ``max_failures``: instead of the
    workflow's.
    """

    targets: Collection[str] | str
    stagger_s: float
    deadline_s: float
    retries: int
    min_survivors: int
    max_failures: int | None


@dataclass(frozen=True)
class Policy:
    """When a workflow ends early: under ``min_survivors`` slots are left, or over ``max_failures`` were dropped."""

    min_survivors: int = 1
    max_failures: int | None = None

    def why_halt(self, left: Collection[str], dropped: Collection[str]) -> str | None:
        """Why the workflow may not go on with the slots ``left``; None if it may."""
        if len(left) < self.min_survivors:
            return f"{len(left)} of its slots are left, and it needs {self.min_survivors}"
        if self.max_failures is not None and len(dropped) > self.max_failures:
            return f"{len(dropped)} slots were dropped, and it allows {self.max_failures}"
        return None


def check_retries(operation: str, retries: int) -> int:
    """``retries``, if the operation may be repeated so often.

    Raises
    ------
    ParameterError
        It is no count, or the operations table does not mark the operation as safe to repeat.
    """
    if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
        raise ParameterError(
            f"{operation}: retries must be a whole number from 0; got {retries!r}", parameter="retries"
        )
    if retries and not operations.operation(operation).repeatable:
        safe = ", ".join(name for name, one in operations.OPERATIONS.items() if one.repeatable)
        raise ParameterError(
            f"{operation} is not safe to repeat: after one that failed, somebody should look before the next; "
            f"retries are for {safe}",
            operation=operation,
            parameter="retries",
        )
    return retries


def to_retry(reports: Collection[SlotReport]) -> list[str]:
    """The slots to try again: not those where somebody aborted it, or where it is rejected."""
    return [one.slot for one in reports if one.outcome in RETRIED]


def default_deadline_s(operation: str, params: dict[str, object], site_limit_s: float) -> float:
    """How long a step may take where nobody said, in seconds; ``site_limit_s`` where the operation has no limit."""
    limit_s = operations.time_limit_for(operation, params)
    return (site_limit_s if limit_s is None else limit_s) + QUEUE_ALLOWANCE_S
