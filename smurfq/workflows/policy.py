"""Decides whether a workflow continues without a slot, retries, or ends. No I/O."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict, cast

from smurfq import operations
from smurfq.core.suggestion import suggest
from smurfq.errors import ParameterError
from smurfq.workflows.report import SlotOutcome, SlotReport

QUEUE_ALLOWANCE_S = 600.0  # added to an operation's own time limit, for the runs that wait before it
RETRIED = frozenset({SlotOutcome.FAILED, SlotOutcome.LOST, SlotOutcome.TIMED_OUT})


class How(TypedDict, total=False):
    """The options of a step, which every step function accepts.

    ``targets``: run the step on these slots only. ``stagger_s``: the time between the starts on two slots.
    ``deadline_s``: the time from the moment when the operation is queued on a slot; a run that is not over by then is
    ended, and counts as failed. The default is the operation's own time limit, plus ten minutes for waiting in the
    queue. ``retries``: the number of further attempts on a slot where the operation failed; only for operations that
    are safe to repeat. ``min_survivors``, ``max_failures``: replace those of the workflow.
    """

    targets: Collection[str] | str
    stagger_s: float
    deadline_s: float
    retries: int
    min_survivors: int
    max_failures: int | None


@dataclass(frozen=True)
class Policy:
    """The rule for an early end of a workflow.

    It ends if fewer than ``min_survivors`` slots are left, or if more than ``max_failures`` slots were dropped.
    """

    min_survivors: int = 1
    max_failures: int | None = None

    def why_halt(self, left: Collection[str], dropped: Collection[str]) -> str | None:
        """Return the reason why the workflow may not continue with the slots ``left``; None if it may."""
        if len(left) < self.min_survivors:
            return f"{len(left)} of its slots are left, and it needs {self.min_survivors}"
        if self.max_failures is not None and len(dropped) > self.max_failures:
            return f"{len(dropped)} slots were dropped, and it allows {self.max_failures}"
        return None


def check_options(operation: str, how: Mapping[str, object]) -> None:
    """Check that a step has all the options in ``how``.

    Raises
    ------
    ParameterError
        It has no option of one of the names.
    """
    for name in how:
        if name not in How.__annotations__:
            hint = suggest(name, How.__annotations__)
            raise ParameterError(f"{operation}: a step has no option {name!r}{hint}", parameter=name)


def split_options(given: Mapping[str, Any]) -> tuple[How, dict[str, Any]]:
    """Return the options of a step in ``given``, and the other keywords."""
    how = {name: value for name, value in given.items() if name in How.__annotations__}
    return cast("How", how), {name: value for name, value in given.items() if name not in how}


def check_retries(operation: str, retries: int) -> int:
    """Return ``retries``, if the operation may be repeated that often.

    Raises
    ------
    ParameterError
        ``retries`` is not a count, or the operations table does not mark the operation as safe to repeat.
    """
    if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
        raise ParameterError(
            f"{operation}: retries must be a whole number from 0; got {retries!r}", parameter="retries"
        )
    if retries and not operations.operation(operation).repeatable:
        safe = ", ".join(name for name, one in operations.OPERATIONS.items() if one.repeatable)
        raise ParameterError(
            f"{operation} is not safe to repeat: after a failure, somebody should check the slot first; "
            f"retries are for {safe}",
            operation=operation,
            parameter="retries",
        )
    return retries


def to_retry(reports: Collection[SlotReport]) -> list[str]:
    """Return the slots for a retry: those where the step failed, but was neither aborted nor rejected."""
    return [one.slot for one in reports if one.outcome in RETRIED]


def default_deadline_s(operation: str, params: dict[str, object], site_limit_s: float) -> float:
    """Return the default deadline of a step in seconds; ``site_limit_s`` if the operation has no time limit."""
    limit_s = operations.time_limit_for(operation, params)
    return (site_limit_s if limit_s is None else limit_s) + QUEUE_ALLOWANCE_S
