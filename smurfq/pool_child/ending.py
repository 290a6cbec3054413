"""The end of an operation's process: its result, its exit code, and the supervisor's actions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from smurfq.pool_child.abort import Plan, Stage


@dataclass(frozen=True)
class Ending:
    """The end of an operation's process."""

    result: dict[str, Any] | None  # the last frame that it sent; None if it died before
    exit_code: int  # negative for a signal, as in ``subprocess``
    oom: bool  # the kernel killed a process for lack of memory meanwhile
    plan: Plan | None  # the reason for which it was ended, if it was
    stage: Stage  # how far that had to go
    stopped: bool  # a stop was asked for
    left_behind: list[str] = field(default_factory=list)  # processes that it had started, and that were killed after it
    malformed: str | None = None  # what it sent instead of a frame, for which it was killed
    has_execed: bool = False  # it had replaced its program by another

    @property
    def died(self) -> bool:
        """True if the operation was killed or died, so that it could not clean up."""
        return self.stage is Stage.KILLED or self.result is None


def result_of_exec(code: int) -> dict[str, Any] | None:
    """Return the result of a script that replaced its process by another program; None if a signal ended it."""
    if code < 0:
        return None
    if code == 0:
        return {"k": "result", "ok": True}
    return {
        "k": "result",
        "ok": False,
        "aborted": False,
        "type": "OperationFailedError",
        "message": f"the script replaced itself by another program, which ended with exit code {code}",
        "fields": {"exit_code": code},
        "traceback": "",
    }
