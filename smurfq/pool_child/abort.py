"""The stages in which an operation is aborted, and when each is due: asked, signalled, killed; pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Stage(IntEnum):
    """The stage that the abort of an operation has reached."""

    NONE = 0
    ASKED = 1  # session.status is "stopping": sodetlib's stop_point and our session raise at the next safe point
    SIGNALLED = 2  # an exception is raised in the operation, so that its finally blocks run
    KILLED = 3  # SIGKILL to the whole group


class Why(StrEnum):
    """The kind of reason for which an operation is ended; the first reason stays, whatever is asked later."""

    ABORT = "abort"
    TIME_LIMIT = "time limit"


@dataclass(frozen=True)
class Plan:
    """The times at which each stage begins, in s on the caller's clock, and the reason."""

    why: Why
    by: str
    reason: str
    ask_at: float
    signal_at: float
    kill_at: float

    def due(self, stage: Stage, now: float) -> Stage:
        """Return the stage that is due, for an abort that has come to ``stage``."""
        if now >= self.kill_at:
            return Stage.KILLED
        if now >= self.signal_at:
            return max(stage, Stage.SIGNALLED)
        if now >= self.ask_at:
            return max(stage, Stage.ASKED)
        return stage

    def next_at(self, stage: Stage) -> float | None:
        """Return when the stage after ``stage`` is due; None after the last."""
        return {Stage.NONE: self.ask_at, Stage.ASKED: self.signal_at, Stage.SIGNALLED: self.kill_at}.get(stage)

    def sooner(self, other: Plan) -> Plan:
        """Return a plan with each stage at the earlier of the two plans' times, and with this plan's reason."""
        return Plan(
            self.why,
            self.by,
            self.reason,
            min(self.ask_at, other.ask_at),
            min(self.signal_at, other.signal_at),
            min(self.kill_at, other.kill_at),
        )


def plan(
    why: Why, *, by: str, reason: str, now: float, abort_grace_s: float, kill_grace_s: float, delay_s: float = 0.0
) -> Plan:
    """Return the plan to end an operation, which begins ``delay_s`` from ``now``."""
    ask_at = now + delay_s
    return Plan(why, by, reason, ask_at, ask_at + abort_grace_s, ask_at + abort_grace_s + kill_grace_s)
