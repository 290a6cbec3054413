"""Maps each kind of Publisher message to events of a session record.

========================  =============================================================================
``session_data``          session data, key by key; ``timestamps`` also makes stages (``stages.py``)
``session_log(s)``        messages
``log``                   a message: its ``message``
``general``               a message: a short form of the payload
``data_file, g3_file``    the record's files, with the type as ``kind``
``metadata``              nothing: a smurf server publishes hundreds of registers, which are no results of an operation.
                          The bridge keeps their newest values (``bridge/register_values.py``)
``start, stop``           a message that the publisher of that script started or stopped, if it has a script id
``backend_error``         a message, and the record is degraded: the Publisher could not send something
any other                 a message that starts with the type, since scripts may publish types of their own
========================  =============================================================================

A payload of the wrong type is not dropped: it becomes a message that shows it; see ``Publication.malformed``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from smurfq.core import session
from smurfq.core.jsonsafe import dumps
from smurfq.core.messages import Message
from smurfq.core.session import Event

_RENDERED_CHARS = 500
_SESSION_DIGITS = 12
_UNNAMED = "undeclared"  # the script id of a Publisher that was given none


class Publication(NamedTuple):
    """The events of a message, and whether its payload was of the wrong type."""

    events: list[Event]
    malformed: bool = False


def publication(message: Message) -> Publication:
    """Return the events that ``message`` adds to the record of its run."""
    kind = _KINDS.get(message.type)
    if kind is None:
        return Publication([session.message(f"{message.type}: {render(message.payload)}", message.time)])
    events = kind(message)
    if events is None:
        text = f"{message.type} of publisher {message.script} could not be used: {render(message.payload)}"
        return Publication([session.message(text, message.time)], malformed=True)
    return Publication(events)


def render(value: Any) -> str:
    """Format ``value`` as one line: text unchanged, other values as JSON. Long lines are truncated."""
    if isinstance(value, str):
        return value
    text = dumps(value)
    return text if len(text) <= _RENDERED_CHARS else f"{text[:_RENDERED_CHARS]}… ({len(text)} characters)"


def _session_data(message: Message) -> list[Event] | None:
    if not isinstance(message.payload, dict):
        return None
    return [session.data_set(message.payload, message.time)] if message.payload else []


def _session_log(message: Message) -> list[Event]:
    lines = message.payload if isinstance(message.payload, list) else [message.payload]
    return [session.message(render(line), message.time) for line in lines]


def _log(message: Message) -> list[Event]:
    return [session.message(_said(message.payload), message.time)]


def _general(message: Message) -> list[Event]:
    return [session.message(render(message.payload), message.time)]


def file_path(payload: Any) -> str | None:
    """Return the path in the payload of a ``data_file`` or ``g3_file`` message; None if it has none."""
    path = payload.get("path") if isinstance(payload, dict) else payload
    # pysmurf's stream_data_off sends the register's text with its padding
    return path.rstrip("\0") if isinstance(path, str) else None


def g3_session(path: str | None) -> int | None:
    """Return the id of the session that wrote a g3 file, which begins the file's name: the second in which it began."""
    began = (path or "").rpartition("/")[2].partition("_")[0]
    return int(began) if began.isascii() and began.isdecimal() and len(began) <= _SESSION_DIGITS else None


def _file(message: Message) -> list[Event] | None:
    path = file_path(message.payload)
    if path is None:
        return None
    payload = message.payload if isinstance(message.payload, dict) else {}
    return [session.file_registered({**payload, "path": path, "kind": message.type}, message.time)]


def _metadata(_message: Message) -> list[Event]:
    return []


def _start(message: Message) -> list[Event]:
    return _lifetime(message, "started")


def _stop(message: Message) -> list[Event]:
    return _lifetime(message, "stopped")


def _lifetime(message: Message, what: str) -> list[Event]:
    """Return a message for people, unless the publisher has no name: each SmurfControl makes such a one."""
    if message.script == _UNNAMED:
        return []
    return [session.message(f"publisher {message.script} {what}", message.time)]


def _backend_error(message: Message) -> list[Event]:
    text = session.message(f"publisher: {_said(message.payload)}", message.time)
    return [text, session.header(message.time, degraded=True)]


def _said(payload: Any) -> str:
    said = payload.get("message") if isinstance(payload, dict) else None
    return said if isinstance(said, str) else render(payload)


_KINDS: dict[str, Callable[[Message], list[Event] | None]] = {
    "session_data": _session_data,
    "session_log": _session_log,
    "session_logs": _session_log,
    "log": _log,
    "general": _general,
    "data_file": _file,
    "g3_file": _file,
    "metadata": _metadata,
    "start": _start,
    "stop": _stop,
    "backend_error": _backend_error,
}
