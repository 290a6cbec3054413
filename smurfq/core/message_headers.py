"""The headers of a submission's message, and how the later steps of a canvas inherit them.

It stands in the headers of the task's message. Celery itself hands on neither headers nor priority from one step of a
chain to the next, so they are written into the later steps when the first is submitted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

LANE = "smurfq_lane"  # "emergency": passes by holds and locks
PRIORITY = "smurfq_priority"  # of a later step of a canvas
OWNER = "smurfq_owner"  # in whose name it is submitted; a locked slot takes its owner's only
ACCEPTED = "smurfq_accepted"  # when the canvas was accepted (s since 1970): a later lock does not refuse its steps

_CANVAS = ("chain", "group", "chord")
_INNER = ("tasks", "header", "body")
_LINKED = ("link", "link_error", "chord")

Step = Mapping[str, Any]


def fingerprint(operation: str, slot: str, params: Mapping[str, Any]) -> str:
    """A text that is the same for submissions that ask for the same, with the same parameters, of the same slot."""
    asked = json.dumps([operation, slot, params], sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(asked.encode()).hexdigest()[:32]


def handed_on(step: Any, headers: Mapping[str, Any]) -> Any:
    """``step`` of a canvas, or a list of steps, with ``headers`` on each operation in it that does not have its own.

    A step's own priority wins over the one handed on. ``step`` itself is left as it is.
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
    """The operations in a step of a canvas, or in a list of steps; errbacks are left out."""
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
    """``value`` as a list, where it holds steps in one of Celery's own sequences."""
    return value if isinstance(value, Mapping | list | tuple) else list(value)
