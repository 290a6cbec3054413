"""The reply to every request of an OCS client."""

from __future__ import annotations

import time
from collections.abc import Iterator
from enum import IntEnum
from typing import Any, Final, NamedTuple

_MESSAGES_SHOWN = 5
_SHOWN_ABOVE = frozenset(
    {"op_name", "session_id", "status", "start_time", "end_time", "messages", "success"}
)  # in the lines above "other keys"


class ResponseCode(IntEnum):
    """The result of a *request*. It does not say how the operation ended."""

    OK = 0
    ERROR = -1
    TIMEOUT = 1


OK: Final = ResponseCode.OK.value
ERROR: Final = ResponseCode.ERROR.value
TIMEOUT: Final = ResponseCode.TIMEOUT.value


class OCSReply(NamedTuple):
    """The reply to a request: ``status`` (``OK``, ``ERROR``, ``TIMEOUT``), a line of text, and the session.

    ``session`` is empty if the operation has never run.
    """

    status: int
    msg: str
    session: dict[str, Any]

    def __repr__(self) -> str:
        name = ResponseCode(self.status).name if self.status in tuple(ResponseCode) else "???"
        head = f"OCSReply: {name} : {self.msg}"
        if not self.session:
            return f"{head}\n  (no session -- op has never run)"
        return "\n".join([head, *_session_lines(self.session)])


def _session_lines(session: dict[str, Any]) -> Iterator[str]:
    yield f"  {session.get('op_name')}[session={session.get('session_id')}]; {_how_it_goes(session)}"
    messages = session.get("messages") or []
    shown = messages[-_MESSAGES_SHOWN:]
    if shown:
        yield f"  messages ({len(shown)} of {max(len(messages), session.get('messages_total') or 0)}):"
        yield from (f"    {at:.3f} {text}" for at, text in shown)
    others = [key for key in session if key not in _SHOWN_ABOVE]
    if others:
        yield f"  other keys in .session: {', '.join(others)}"


def _how_it_goes(session: dict[str, Any]) -> str:
    status, start, end = session.get("status"), session.get("start_time"), session.get("end_time")
    text = f"status={status}"
    if status == "done" and end is not None:
        text += " without error" if session.get("success") else " with ERROR"
        text += f" {for_people(time.time() - end)} ago"
        return text if start is None else f"{text}, took {for_people(end - start)}"
    return text if start is None else f"{text} for {for_people(time.time() - start)}"


def for_people(seconds: float) -> str:
    """Return a duration as text, in OCS's format and in a suitable unit."""
    size = abs(seconds)
    if size < 1:
        return f"{seconds:.6f} s"
    for limit, unit, name in ((120, 1, "s"), (7200, 60, "mins"), (172_800, 3600, "hrs")):
        if size < limit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds / 86_400:.1f} days"
