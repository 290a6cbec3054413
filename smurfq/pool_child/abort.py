"""The stages in which an operation is ended: asked, signalled, killed. Pure: times in, actions out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Stage(IntEnum):
    """How far the ending of an operation has come."""

    NONE = 0
    ASKED = 1  # session.status is "stopping": sodetlib's stop_point and our session raise at the next safe point
    SIGNALLED = 2  # an exception is raised in the operation, so that its finally blocks run
    KILLED = 3  # SIGKILL to the whole group


class Why(StrEnum):
    """What an operation is ended for; a later, graver reason does not replace an earlier one."""

    ABORT = "abort"
    TIME_LIMIT = "time limit"


@dataclass(frozen=True)
class Plan:
    """When to go to the next stage, in s on the caller's clock; ``stop`` only asks and never goes further."""

    why: Why
    by: str
    reason: str
    ask_at: float
    signal_at: float
    kill_at: float

    def due(self, stage: Stage, now: float) -> Stage:
        """The stage that an ending which has come to ``stage`` should be in now."""
        if now >= self.kill_at:
            return Stage.KILLED
        if now >= self.signal_at:
            return max(stage, Stage.SIGNALLED)
        if now >= self.ask_at:
            return max(stage, Stage.ASKED)
        return stage

    def next_at(self, stage: Stage) -> float | None:
        """When the stage after ``stage`` is due; None after the last."""
        return {Stage.NONE: self.ask_at, Stage.ASKED: self.signal_at, Stage.SIGNALLED: self.kill_at}.get(stage)

    def sooner(self, other: Plan) -> Plan:
        """The plan with each stage at the earlier of the two plans' times, for this one's reason."""
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
    """The plan to end an operation, beginning ``delay_s`` from ``now``."""
    ask_at = now + delay_s
    return Plan(why, by, reason, ask_at, ask_at + abort_grace_s, ask_at + abort_grace_s + kill_grace_s)
