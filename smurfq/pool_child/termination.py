"""Decides when a running operation is stopped, aborted, signalled and killed.

A state machine without input or output: it is given times and requests, and returns what its supervisor has to do.
"""

from __future__ import annotations

from dataclasses import dataclass

from smurfq.core import session as events
from smurfq.core.session import Event
from smurfq.operation_process import wire
from smurfq.pool_child import abort
from smurfq.pool_child.abort import Plan, Stage, Why
from smurfq.pool_child.end_request import AbortRequest, EndRequest, StopRequest

EXIT_WITHIN_S = 5.0  # from an operation's result to the end of its process


@dataclass(frozen=True)
class Actions:
    """The actions of the supervisor that are due now, in their order."""

    flag: int | None = None  # the byte of shared memory that the operation reads; None leaves it as it is
    events: tuple[Event, ...] = ()
    signal: bool = False  # send the abort signal to the operation's process
    kill: bool = False  # kill its process group


class Termination:
    """The state of the end of one operation.

    All times named ``now`` are of one monotonic clock, in s; ``at`` is the time of events, in s since 1970.
    """

    def __init__(self, *, abort_grace_s: float, kill_grace_s: float) -> None:
        self._abort_grace_s = abort_grace_s
        self._kill_grace_s = kill_grace_s
        self._plan: Plan | None = None
        self._result_at: float | None = None
        self.stage = Stage.NONE
        self.is_stopped = False

    @property
    def plan(self) -> Plan | None:
        """The plan by which the operation is being ended; None if no stage of a plan was reached."""
        return self._plan if self.stage > Stage.NONE else None

    def limit(self, time_limit_s: float, now: float) -> None:
        """End the operation if it runs for longer than ``time_limit_s`` from ``now``."""
        reason = f"it ran past its time limit of {time_limit_s:g} s"
        self._join(self._new_plan(Why.TIME_LIMIT, AbortRequest("smurfq", reason, delay_s=time_limit_s), now))

    def ask(self, request: EndRequest, now: float, at: float) -> Actions:
        """Take in a request that was made at ``now``; the stages of an abort are due by ``advance``."""
        if isinstance(request, AbortRequest):
            self._join(self._new_plan(Why.ABORT, request, now))
            return Actions()
        return self._stop(request, at)

    def take_result(self, now: float) -> None:
        """Note that the operation has sent its result: from now on it is not aborted, and has to exit."""
        self._result_at = now

    def advance(self, now: float, at: float) -> Actions:
        """Go to the stage that is due, and return the actions of this and of each stage in between."""
        if self._plan is None or self._result_at is not None:
            return Actions()
        before, self.stage = self.stage, self._plan.due(self.stage, now)
        if self.stage is before:
            return Actions()
        asked = _asked(self._plan, at) if before is Stage.NONE else ()
        return Actions(
            flag=wire.ABORT if before is Stage.NONE else None,
            events=asked if self.stage is Stage.ASKED else (*asked, _stage_event(self.stage, at)),
            signal=self.stage is Stage.SIGNALLED,
            kill=self.stage is Stage.KILLED,
        )

    def next_at(self) -> float | None:
        """Return when ``advance`` or ``is_exit_overdue`` has news; None if never."""
        if self._result_at is not None:
            return self._result_at + EXIT_WITHIN_S
        return self._plan.next_at(self.stage) if self._plan is not None else None

    def is_exit_overdue(self, now: float) -> bool:
        """Return whether the process has sent its result and should have exited by now."""
        return self._result_at is not None and now >= self._result_at + EXIT_WITHIN_S

    def _stop(self, request: StopRequest, at: float) -> Actions:
        """Have a process end in good order, unless it is being aborted already."""
        if self.stage is not Stage.NONE:
            return Actions()
        self.is_stopped = True
        return Actions(wire.STOP, (events.header(at, status="stopping"), events.message(str(request), at)))

    def _new_plan(self, why: Why, request: AbortRequest, now: float) -> Plan:
        grace_s = request.grace_s
        return abort.plan(
            why,
            by=request.by,
            reason=request.reason,
            now=now,
            abort_grace_s=self._abort_grace_s if grace_s is None else grace_s,
            kill_grace_s=self._kill_grace_s if grace_s is None else grace_s,
            delay_s=request.delay_s,
        )

    def _join(self, new: Plan) -> None:
        """The reason is that which takes effect first; a later one only makes the end come sooner."""
        if self._plan is None:
            self._plan = new
        elif self.stage is Stage.NONE and new.ask_at < self._plan.ask_at:
            self._plan = new.sooner(self._plan)
        else:
            self._plan = self._plan.sooner(new)


def _asked(plan: Plan, at: float) -> tuple[Event, ...]:
    return (
        events.header(at, status="stopping"),
        events.message(f"{plan.why}, by {plan.by}: {plan.reason}", at),
        _stage_event(Stage.ASKED, at),
    )


def _stage_event(stage: Stage, at: float) -> Event:
    return events.stage(f"abort: {stage.name.lower()}", at)
