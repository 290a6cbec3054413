"""Requests to end a running operation, from a user, its worker, its workflow or smurfq itself; pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class StopRequest:
    """A request to a process to end in good order."""

    by: str = ""
    reason: str = ""

    def __str__(self) -> str:
        return "stop asked for" + (f" by {self.by}" if self.by else "") + (f": {self.reason}" if self.reason else "")


@dataclass(frozen=True)
class AbortRequest:
    """A request to abort an operation in stages, ``delay_s`` after it is made.

    ``grace_s`` replaces both of the configured graces.
    """

    by: str
    reason: str
    grace_s: float | None = None
    delay_s: float = 0.0


EndRequest = StopRequest | AbortRequest
Ask = Callable[[EndRequest], None]


def requests_to_end(reason: str, *, is_process: bool, delay_s: float) -> list[EndRequest]:
    """Return the requests with which smurfq itself ends an operation.

    A process is asked to stop at once. The abort begins after ``delay_s``, if the operation has not ended by then.
    """
    stop: list[EndRequest] = [StopRequest("smurfq", reason)] if is_process else []
    return [*stop, AbortRequest("smurfq", reason, delay_s=delay_s)]
