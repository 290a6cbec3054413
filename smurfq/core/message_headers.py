"""The headers that smurfq adds to a task's message, and their inheritance by the later steps of a canvas.

Celery does not pass headers or the priority from one step of a chain to the next. smurfq therefore writes them into
the later steps when the first step is submitted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

LANE = "smurfq_lane"  # "emergency": holds and locks do not apply
PRIORITY = "smurfq_priority"  # the priority of a later step of a canvas
OWNER = "smurfq_owner"  # the name of the submitter, which a locked slot compares with the lock's owner
ACCEPTED = "smurfq_accepted"  # time at which the canvas was accepted (s since 1970); later locks accept its steps
STREAM_ID = "smurfq_stream_id"  # the submission named its slot by it: only this module is meant, wherever it is

_CANVAS = ("chain", "group", "chord")
_INNER = ("tasks", "header", "body")
_LINKED = ("link", "link_error", "chord")

Step = Mapping[str, Any]


def fingerprint(operation: str, slot: str, params: Mapping[str, Any]) -> str:
    """Return a text that is the same for all submissions with the same operation, slot and parameters."""
    asked = json.dumps([operation, slot, params], sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(asked.encode()).hexdigest()[:32]


def handed_on(step: Any, headers: Mapping[str, Any]) -> Any:
    """Return a copy of ``step`` (of a canvas, or a list of steps) in which each operation has ``headers``.

    Headers and the priority that an operation already has are kept.
    """
    if not isinstance(step, Mapping):
        return [handed_on(item, headers) for item in step] if isinstance(step, list | tuple) else step
    options = dict(step.get("options") or {})
    for name in _LINKED:
        if options.get(name):
            options[name] = handed_on(options[name], headers)
    if step.get("subtask_type") in _CANVAS:
        kwargs = dict(step.get("kwargs") or {})
        for name in _INNER:
            if name in kwargs:
                kwargs[name] = handed_on(_listed(kwargs[name]), headers)
        return {**step, "kwargs": kwargs, "options": options}
    own = {} if options.get("priority") is None else {PRIORITY: options["priority"]}
    options["headers"] = {**headers, **(options.get("headers") or {}), **own}
    return {**step, "options": options}


def operations_in(step: Any) -> Iterator[Step]:
    """Yield the operations in a step of a canvas, or in a list of steps, without errbacks."""
    if isinstance(step, list | tuple):
        for item in step:
            yield from operations_in(item)
    elif isinstance(step, Mapping):
        options = step.get("options") or {}
        yield from operations_in(options.get("link") or ())
        yield from operations_in(options.get("chord") or ())
        if step.get("subtask_type") in _CANVAS:
            for name in _INNER:
                yield from operations_in(_listed((step.get("kwargs") or {}).get(name) or ()))
        else:
            yield step


def _listed(value: Any) -> Any:
    """Return ``value`` as a list if it is one of Celery's own sequences of steps."""
    return value if isinstance(value, Mapping | list | tuple) else list(value)
