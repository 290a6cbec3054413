"""A running workflow: its slots, the slots that were dropped and why, and its steps."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Unpack

from smurfq import operations
from smurfq.client.connection import Connection, connection_of
from smurfq.client.run_reader import RunReader
from smurfq.config import Settings
from smurfq.core.plain_values import is_number
from smurfq.errors import ParameterError, UnknownSlotError, WorkflowHaltedError
from smurfq.ocs.instances import place_of
from smurfq.store import best_effort
from smurfq.store.holds import Hold
from smurfq.workflows import policy, sending
from smurfq.workflows.context import OpenStreams, WorkflowContext
from smurfq.workflows.host import Host, ProducerHost, pause
from smurfq.workflows.leash_renewal import LeashRenewal
from smurfq.workflows.policy import How, Policy
from smurfq.workflows.report import Report, SlotReport
from smurfq.workflows.step import Asked, Step
from smurfq.workflows.terminating import sigterm_raises

_HOLD_POLL_S = 0.5
_CURRENT: ContextVar[Workflow | None] = ContextVar("_current_workflow", default=None)


class Workflow:
    """A sequence of steps on the same slots. Within it, the functions of ``smurfq.workflows`` are its steps.

    >>> with Workflow(["crate1slot2", "crate1slot3"], min_survivors=1) as night:  # doctest: +SKIP
    ...     print(uxm_relock())
    ...     print(night.dropped)

    A slot on which a step fails is dropped: later steps do not use it. If too few slots are left, or too many were
    dropped, the workflow halts. When the workflow ends for any reason, it closes the streams that it has started.

    Parameters
    ----------
    slots
        Places, stream ids, or slot numbers if only one crate has them. Default: all slots of the site.
    min_survivors, max_failures
        See ``Policy``.
    settings, connection
        The site. Default: the site of this process's environment.
    host, workflow_id
        The host on which it runs, and its record's id. Only the workflows' workers set them.

    Raises
    ------
    UnknownSlotError
        The site has no such slot.
    """

    def __init__(
        self,
        slots: Iterable[str | int] | str | None = None,
        *,
        min_survivors: int = 1,
        max_failures: int | None = None,
        settings: Settings | None = None,
        connection: Connection | None = None,
        host: Host | None = None,
        workflow_id: str | None = None,
    ) -> None:
        self.connection = connection or connection_of(settings)
        self.host: Host = host or ProducerHost()
        self.id = workflow_id or sending.new_id()
        self.policy = Policy(min_survivors, max_failures)
        self.targets: list[str] = self._slots(slots)
        self.dropped: dict[str, str] = {}
        self.reports: list[Report] = []
        self.streams: list[OpenStreams] = []
        self._context = WorkflowContext(self.id, self.connection, self.host)
        self.leash = LeashRenewal(self.connection, self.id)
        self._number = 0
        self._entered: list[contextlib.ExitStack] = []

    def __repr__(self) -> str:
        return f"Workflow({self.id[:8]}, {len(self.left)} of {len(self.targets)} slots)"

    def __enter__(self) -> Workflow:
        with contextlib.ExitStack() as stack:
            token = _CURRENT.set(self)
            stack.callback(lambda: _CURRENT.reset(token))
            stack.enter_context(sigterm_raises())
            if self.host.leashes_all:
                self.leash.start()
            self.host.data(targets=self.targets, dropped={})
            self._entered.append(stack.pop_all())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        why = "the workflow that started it has ended" + (f": {kind.__name__}" if kind else "")
        with self._entered.pop() as entered:
            entered.callback(self.leash.end, why)
            for streams in self.streams:
                entered.callback(streams.close)

    @property
    def left(self) -> list[str]:
        """The slots of the next step: the targets without the dropped slots."""
        return [slot for slot in self.targets if slot not in self.dropped]

    def set_targets(self, targets: Iterable[str | int] | str) -> None:
        """Limit the following steps to these slots. Dropped slots stay dropped.

        Raises
        ------
        UnknownSlotError
            The site has no such slot.
        """
        self.targets = self._slots(targets)
        self.host.data(targets=self.targets)

    def forgive(self, *slots: str | int) -> None:
        """Restore all dropped slots, or those that are named.

        Raises
        ------
        UnknownSlotError
            The site has no such slot.
        """
        for slot in self._slots(slots) if slots else tuple(self.dropped):
            self.dropped.pop(slot, None)
        self.host.data(dropped=self.dropped)

    def wait(self, seconds: float) -> None:
        """Wait for ``seconds``; an abort of the workflow ends the wait."""
        pause(self.host, seconds)

    def message(self, text: str) -> None:
        """Write a line to the workflow's record, or to the producer's log."""
        self.host.message(text)

    def run(
        self,
        operation: str,
        concurrent: bool = True,
        settling_time: float = 0.0,
        params: Mapping[str, Any] | None = None,
        **how: Unpack[How],
    ) -> Report:
        """Run an operation on all remaining slots, and return its report when it has ended on all of them.

        Parameters
        ----------
        operation, params
            The operation and its parameters.
        concurrent
            If true, run on all slots at once, else on one after another.
        settling_time
            If the slots run one after another: time between the end on one slot and the start on the next, in s.
        how
            See ``How``.

        Raises
        ------
        RequestError
            A parameter is rejected. Nothing was queued.
        WorkflowHaltedError
            Too few slots are left, or too many were dropped.
        """
        asked = self._asked(operation, params, how)
        with self.step(operation, how.get("targets")) as step:
            began = time.time()
            if concurrent:
                reports = self._tried(step, asked, step.slots, how)
            else:
                reports = {}
                for number, slot in enumerate(step.slots):
                    if number:
                        self.wait(settling_time + how.get("stagger_s", 0.0))
                    reports.update(self._tried(step, asked, [slot], how))
            ordered = {slot: reports[slot] for slot in step.slots}
            return self.conclude(step, Report(operation, ordered, began, time.time()), how)

    @contextlib.contextmanager
    def step(self, name: str, targets: Collection[str | int] | str | None = None) -> Iterator[Step]:
        """Yield a new step on the remaining slots; at the end of the block, end its unfinished runs."""
        self.hold_point(name)
        slots = self.left if targets is None else [slot for slot in self._slots(targets) if slot not in self.dropped]
        if not slots:
            raise self._halted(f"no slot is left for {name}")
        step = self.new_step(name, slots)
        try:
            yield step
        except BaseException:
            step.end_all(f"step {self._number} of its workflow was interrupted")
            step.write("done")
            raise

    def new_step(self, name: str, slots: list[str], runs: RunReader | None = None) -> Step:
        """Record a new step on these slots. ``runs`` are the runs of an earlier step, if the new one continues it."""
        self._number += 1
        step = Step(self._context, self._number, name, slots, runs)
        self.host.stage(f"{self._number} {name}")
        step.write("waiting")
        return step

    def conclude(self, step: Step, report: Report, how: How | None = None) -> Report:
        """Drop the slots that failed, and return ``report``.

        Raises
        ------
        WorkflowHaltedError
            Too few slots are left, or too many slots were dropped.
        """
        for slot in report.failed:
            self.dropped[slot] = f"step {step.number} {report.operation}: {report[slot].reason or report[slot].outcome}"
        report = report.with_dropped(report.failed)
        self.reports.append(report)
        step.reports.update(report.slots)
        step.write("done")
        self.host.data(dropped=self.dropped)
        self.host.message(str(report) if report.failed else report.summary())
        how = how or {}
        rules = Policy(
            how.get("min_survivors", self.policy.min_survivors), how.get("max_failures", self.policy.max_failures)
        )
        if why := rules.why_halt(self.left, self.dropped):
            raise self._halted(why, report)
        return report

    def hold_point(self, name: str) -> None:
        """Wait while somebody holds the workflow."""
        self.host.check()
        said = False
        while (hold := self._hold()) is not None:
            if not said:
                self.host.message(f"held before step {self._number + 1} {name}: {hold.owner} {hold.note}".rstrip())
                self.host.data(held=str(hold))
                said = True
            pause(self.host, _HOLD_POLL_S)
        if said:
            self.host.data(held=None)
            self.host.message("released")

    def _hold(self) -> Hold | None:
        with best_effort("it is not known whether the workflow is held"):
            return self.connection.holds.get(self.id)
        return None

    def _asked(self, operation: str, params: Mapping[str, Any] | None, how: How) -> Asked:
        policy.check_options(operation, how)
        checked = operations.check(operation, {k: v for k, v in (params or {}).items() if v is not None})
        deadline_s = how.get("deadline_s")
        if deadline_s is None:
            deadline_s = policy.default_deadline_s(operation, checked, self.connection.settings.limits.operation_s)
        retries = policy.check_retries(operation, how.get("retries", 0))
        for name, value in (("deadline_s", deadline_s), ("stagger_s", how.get("stagger_s", 0.0))):
            if not is_number(value) or value < 0:
                raise ParameterError(f"{operation}: {name} must be a number of seconds; got {value!r}", parameter=name)
        return Asked(operation, checked, deadline_s, retries)

    def _tried(self, step: Step, asked: Asked, slots: list[str], how: How) -> dict[str, SlotReport]:
        """Return the reports of these slots after at most the allowed number of attempts."""
        reports: dict[str, SlotReport] = {}
        trying = slots
        for attempt in range(1, asked.retries + 2):
            reports.update(step.do(asked, trying, attempt, how.get("stagger_s", 0.0)))
            trying = policy.to_retry([reports[slot] for slot in trying])
            if not trying or attempt > asked.retries:
                break
            self.host.message(f"{asked.operation} is retried on {', '.join(trying)}")
        return reports

    def _halted(self, why: str, report: Report | None = None) -> WorkflowHaltedError:
        dropped = "; ".join(f"{slot}: {reason}" for slot, reason in self.dropped.items())
        return WorkflowHaltedError(
            f"the workflow halts: {why}" + (f". Dropped: {dropped}" if dropped else ""),
            left=self.left,
            dropped=self.dropped,
            report=report.to_dict() if report else None,
        )

    def _slots(self, slots: Iterable[str | int] | str | int | None) -> list[str]:
        settings = self.connection.settings
        if slots is None:
            return list(settings.slots)
        items = [slots] if isinstance(slots, str | int) else list(slots)
        if not items:
            raise UnknownSlotError(f"no slots are given; known are {', '.join(settings.slots)}")
        with self.connection.reached():
            return list(dict.fromkeys(place_of(item, settings, self.connection.slot_names) for item in items))


def current() -> Workflow | None:
    """Return the workflow in which this code runs, if there is one."""
    return _CURRENT.get()
