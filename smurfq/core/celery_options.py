"""Checks the Celery options of a submission in the producer, before a worker receives the message."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from smurfq.core.plain_values import is_number
from smurfq.core.task_id import is_task_id
from smurfq.errors import ParameterError

_Check = Callable[[Any], bool]
_STEPS: Final[Mapping[str, tuple[str, ...]]] = {"chain": ("tasks",), "group": ("tasks",), "chord": ("header", "body")}


def is_signature(value: Any) -> bool:
    """Return whether ``value`` is a Celery signature or canvas, as an object or in its JSON form."""
    return (
        isinstance(value, Mapping)
        and isinstance(value.get("task"), str)
        and isinstance(value.get("args"), list | tuple)
        and isinstance(value.get("kwargs"), Mapping)
        and isinstance(value.get("options"), Mapping)
        and (value["options"].get("task_id") is None or is_task_id(value["options"]["task_id"]))
        and all(_are_steps(value["kwargs"].get(name)) for name in _STEPS.get(str(value.get("subtask_type")), ()))
    )


def are_signatures(value: Any) -> bool:
    """Return whether ``value`` is a list of signatures."""
    return isinstance(value, list | tuple) and all(map(is_signature, value))


def _are_steps(value: Any) -> bool:
    """Return whether ``value`` is one step of a canvas, or a list of steps."""
    return is_signature(value) or are_signatures(value)


_SIGNATURES: Final = "a Celery signature, or a list of them"
_ALLOWED: Final[Mapping[str, tuple[str, _Check]]] = {
    "link": (_SIGNATURES, lambda value: is_signature(value) or are_signatures(value)),
    "link_error": (_SIGNATURES, lambda value: is_signature(value) or are_signatures(value)),
    "chain": ("a list of Celery signatures", are_signatures),
    "chord": ("a Celery signature", is_signature),
    "headers": ("a table", lambda value: isinstance(value, Mapping)),
    "retries": ("a whole number from 0", lambda value: type(value) is int and 0 <= value < 2**31),
    "time_limit": ("a number of seconds above 0", lambda value: is_number(value) and value > 0),
    "soft_time_limit": ("a number of seconds above 0", lambda value: is_number(value) and value > 0),
    "expires": ("a number of seconds, or a time", lambda value: is_number(value) or _is_time(value)),
}
_TEXTS: Final = ("shadow", "group_id", "parent_id", "root_id", "reply_to")


def check_options(name: str, kwargs: Any, options: Mapping[str, Any]) -> None:
    """Check the Celery options of the task ``name``, and that its keywords are a table.

    Raises
    ------
    ParameterError
        An option has a value that Celery or smurfq does not accept.
    """
    if kwargs is not None and not isinstance(kwargs, Mapping):
        raise _error(name, "kwargs", "a table of keywords", kwargs)
    for option, (allowed, check) in _ALLOWED.items():
        value = options.get(option)
        if value and not check(value):
            raise _error(name, option, allowed, value)
    for option in _TEXTS:
        if options.get(option) is not None and not isinstance(options[option], str):
            raise _error(name, option, "text", options[option])


def check_headers(headers: Mapping[str, Any]) -> None:
    """Check the headers of a message, other than the task's name, id and parameters.

    Raises
    ------
    ParameterError
        A header has a value that Celery does not accept, or the message has an ``eta``.
    """
    name = str(headers.get("task"))
    limits = headers.get("timelimit")
    if limits is not None and not (isinstance(limits, list) and len(limits) == 2):
        raise _error(name, "timelimit", "a list of two, the hard and the soft limit", limits)
    hard, soft = limits or (None, None)
    options = {"group_id": headers.get("group"), "time_limit": hard, "soft_time_limit": soft}
    check_options(name, None, {**headers, **options, "headers": None})
    if headers.get("eta") is not None:
        raise _error(name, "eta", "absent, since a message that waits for its time could be run twice", headers["eta"])
    if headers.get("expires") is not None and not _is_time(headers["expires"]):
        raise _error(name, "expires", "a time, as in '2026-11-23T20:00:00+00:00'", headers["expires"])
    if headers.get("ignore_result"):
        raise _error(name, "ignore_result", "false, since the record of every operation is kept", True)
    stamped, stamps = headers.get("stamped_headers") or [], headers.get("stamps") or {}
    if not isinstance(stamped, list) or not all(isinstance(stamp, str) for stamp in stamped):
        raise _error(name, "stamped_headers", "a list of names", stamped)
    if not isinstance(stamps, Mapping):
        raise _error(name, "stamps", "a table", stamps)


def _is_time(value: Any) -> bool:
    if isinstance(value, datetime):
        return True
    try:
        datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return False
    return True


def _error(name: str, option: str, allowed: str, value: Any) -> ParameterError:
    return ParameterError(f"{name}: the option {option!r} must be {allowed}; got {value!r:.100}", parameter=option)
