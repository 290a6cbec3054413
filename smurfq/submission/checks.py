"""Checks a submission, and finds its queue and the locks that apply to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from smurfq import operations
from smurfq.config.slot_names import SlotNames
from smurfq.core import message_headers
from smurfq.core.plain_values import is_number
from smurfq.core.previous_steps import previous_steps
from smurfq.core.priorities import priority_number
from smurfq.core.scripts import check_absolute, check_arguments
from smurfq.core.slot import WORKFLOWS, Lane
from smurfq.errors import ParameterError, UnknownSlotError, UnsupportedOptionError
from smurfq.store.admission import LockCheck, Unique

_REJECTED_OPTIONS: Final = {
    "eta": "a message that waits for its time could be executed twice; submit it at that time instead",
    "countdown": "a message that waits for its time could be executed twice; submit it at that time instead",
    "queue": "the queue follows from the parameter 'slot'",
    "exchange": "the queue follows from the parameter 'slot'",
    "routing_key": "the queue follows from the parameter 'slot'",
    "ignore_result": "the record of every operation is kept",
}
_UNIQUE: Mapping[Any, Unique] = {None: "", False: "", True: "waiting", "waiting": "waiting", "running": "running"}


@dataclass(frozen=True)
class Checked:
    """A request that may be queued."""

    operation: operations.Operation
    slot: str
    lane: Lane
    params: dict[str, Any]
    args: list[Any]
    unique: Unique
    owner: str
    accepted: float | None
    priority: int
    stream_id: str | None  # by which the submission named its slot

    def said(self, now: float) -> dict[str, Any]:
        """Return the headers that the later steps of the canvas also get."""
        return {
            message_headers.OWNER: self.owner,
            message_headers.PRIORITY: self.priority,
            message_headers.ACCEPTED: now if self.accepted is None else self.accepted,
        }


def check_request(slots: SlotNames, owner: str, name: str, args: Any, kwargs: Any, options: dict[str, Any]) -> Checked:
    """Check a submission. smurfq's own options are removed from ``options``; ``owner`` is the default owner.

    Raises
    ------
    RequestError
        The operation, its slot, a parameter or an option is rejected.
    """
    operation = operations.operation(name)
    for option, why in _REJECTED_OPTIONS.items():
        if options.pop(option, None):
            raise UnsupportedOptionError(f"{name}: the option {option!r} is not allowed: {why}", option=option)
    params = dict(kwargs or {})
    named = params.get("slot")
    slot = _slot(slots, operation, params)
    headers = options.get("headers") or {}
    lane: Lane = "emergency" if headers.get(message_headers.LANE) == "emergency" else operation.lane
    asked = options.get("priority")
    options["priority"] = priority_number(headers.get(message_headers.PRIORITY) if asked is None else asked, name)
    unique = options.pop("unique", None)
    if not isinstance(unique, bool | str | None) or unique not in _UNIQUE:
        raise _error(operation, "unique", "true, false, 'waiting' or 'running'", unique)
    accepted = headers.get(message_headers.ACCEPTED)
    if accepted is not None and not is_number(accepted):
        raise _error(operation, message_headers.ACCEPTED, "a time in seconds since 1970, or absent", accepted)
    if operation.name == "run":
        check_absolute(params.get("script"))
    params = operations.check(operation.name, params)
    if "script" in params:
        check_arguments(params["args"], slot)
    return Checked(
        operation,
        slot,
        lane,
        params,
        previous_steps(operation.name, args),
        unique=_UNIQUE[unique],
        owner=str(options.pop("owner", None) or headers.get(message_headers.OWNER) or owner),
        accepted=accepted,
        priority=options["priority"],
        stream_id=headers.get(message_headers.STREAM_ID) if slot in (named, WORKFLOWS) else str(named),
    )


def check_canvas(slots: SlotNames, first: Checked, later: Iterable[Mapping[str, Any]]) -> list[LockCheck]:
    """Check the later steps of a canvas, and return the slots whose locks apply to the submission.

    Raises
    ------
    RequestError
        A step is rejected.
    """
    steps = [first]
    if first.accepted is None:
        for step in later:
            options = {name: value for name, value in (step.get("options") or {}).items() if value is not None}
            steps.append(check_request(slots, first.owner, str(step.get("task")), None, step.get("kwargs"), options))
    return [LockCheck(step.slot, step.owner, step.accepted) for step in steps if step.lane == "control"]


def _slot(slots: SlotNames, operation: operations.Operation, params: dict[str, Any]) -> str:
    """Remove the slot from ``params`` and return its place.

    A workflow has no slot. Its parameters name the slots that it uses; the record and the worker get their places.
    """
    if operation is operations.WORKFLOW:
        named = operations.check(operation.name, {"slots": params.get("slots")}, partial=True).get("slots")
        if named:
            params["slots"] = [slots.place(name) for name in named]
        params.pop("slot", None)
        return WORKFLOWS
    if "slot" not in params:
        known = ", ".join(slots.places)
        raise UnknownSlotError(f"{operation.task_name} needs the keyword 'slot', one of {known}")
    return slots.place(params.pop("slot"))


def _error(operation: operations.Operation, name: str, allowed: str, value: Any) -> ParameterError:
    return ParameterError(
        f"{operation.task_name}: {name} must be {allowed}; got {value!r}",
        operation=operation.name,
        parameter=name,
        got=value,
    )
