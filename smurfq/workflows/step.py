"""Runs one step: submits an operation to some slots, waits until its deadline, and then aborts unfinished runs."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from smurfq.client.following import doing_now
from smurfq.client.run import Run
from smurfq.client.run_reader import RunReader
from smurfq.client.waiting import is_served
from smurfq.core.slot import Lane
from smurfq.errors import DuplicateError, RequestError, SmurfqError
from smurfq.operations import operation as operation_of
from smurfq.store import best_effort, patiently
from smurfq.store.redis_errors import AWAY
from smurfq.workflows import sending
from smurfq.workflows.context import WorkflowContext
from smurfq.workflows.host import pause
from smurfq.workflows.report import SlotOutcome, SlotReport
from smurfq.workflows.verdict import GivenUp, report_of

UNSERVED_S = 60.0  # how long a slot may have no worker while a run waits there
_LOOK_ROUND_S = 2.0
_ENDED_WITHIN_S = 15.0  # in addition to the grace times, after a run was asked to end
_SEND_WITHIN_S = 30.0


@dataclass(frozen=True)
class Asked:
    """The checked request of a step to its slots."""

    operation: str
    params: Mapping[str, Any]
    deadline_s: float
    retries: int = 0


class Step:
    """One step of a workflow, and the runs that it has started."""

    def __init__(
        self, context: WorkflowContext, number: int, name: str, slots: list[str], runs: RunReader | None = None
    ) -> None:
        self.context = context
        self.number = number
        self.name = name
        self.slots = slots
        self.reports: dict[str, SlotReport] = {}
        self.runs = runs or RunReader(context.connection)
        self._given_up: dict[str, GivenUp] = {}
        self._queued_at: dict[str, float] = {}
        self._attempts: dict[str, int] = {}
        self._unserved_since: dict[str, float] = {}
        self._next_look = 0.0
        self._started = time.time()

    def write(self, state: str) -> None:
        """Write the present state of the step into the workflow's record."""
        value = {
            "name": self.name,
            "state": state,
            "started": self._started,
            "ended": time.time() if state == "done" else None,
            "ids": dict(self.runs.ids),
            "slots": {slot: one.to_dict() for slot, one in self.reports.items()},
        }
        self.context.host.data(**{f"step_{self.number}": value})

    def do(self, asked: Asked, slots: list[str], attempt: int, stagger_s: float = 0.0) -> dict[str, SlotReport]:
        """Make one attempt on each of ``slots``, all at once or ``stagger_s`` apart; return the reports."""
        self.send(asked, slots, attempt, stagger_s, leashed=self.context.host.leashes_all)
        self.wait(slots, asked.deadline_s)
        found = {slot: self.report(slot) for slot in slots}
        self.reports.update(found)
        self.write("waiting")
        return found

    def send(self, asked: Asked, slots: list[str], attempt: int, stagger_s: float, *, leashed: bool) -> None:
        """Queue the operation on ``slots``; if one slot rejects it, give up only that slot."""
        groups = [[slot] for slot in slots] if stagger_s > 0 else [slots]
        for number, group in enumerate(groups):
            if number:
                pause(self.context.host, stagger_s)
            self._send(asked, group, attempt, leashed=leashed)

    def _send(self, asked: Asked, slots: list[str], attempt: int, *, leashed: bool) -> None:
        ids = {slot: sending.new_id() for slot in slots}
        for slot, run_id in ids.items():
            self.runs.add(slot, run_id)
            self._attempts[slot] = attempt
            self._given_up.pop(slot, None)
        self.write("running")  # before they are sent, so that the cleanup after a crash finds all of them
        try:
            self._queue(asked, ids, leashed=leashed)
        except RequestError as error:
            if len(slots) == 1:
                self._given_up[slots[0]] = GivenUp(SlotOutcome.REJECTED, str(error))
                return
            for slot in slots:  # none was queued: send it to each slot separately
                self._send(asked, [slot], attempt, leashed=leashed)

    def _queue(self, asked: Asked, ids: Mapping[str, str], *, leashed: bool) -> None:
        step = f"{self.number} {self.name}"

        def queue() -> None:
            self.context.host.check()
            sending.send(
                self.context.connection,
                asked.operation,
                ids,
                asked.params,
                workflow=self.context.id,
                step=step,
                leashed=leashed,
            )

        try:
            patiently(queue, give_up_after_s=_SEND_WITHIN_S)
        except DuplicateError as error:
            if error.fields.get("state") != "known":
                raise
            # Redis went away after it had accepted them: these ids belong to this step.
        except AWAY as cause:
            raise RequestError(f"{asked.operation} could not be queued: {cause}") from cause
        now = time.monotonic()
        self._queued_at.update(dict.fromkeys(ids, now))

    def wait(self, slots: Iterable[str], deadline_s: float) -> None:
        """Wait until the runs on ``slots`` are over; end them when their deadline has passed."""
        waited = [slot for slot in slots if slot not in self._given_up]
        until = max((self._queued_at[slot] for slot in waited), default=0.0) + deadline_s
        late = self.runs.wait(waited, self.runs.over, until=until, check=self._check)
        late -= self._given_up.keys()
        for slot in late:
            doing = self._doing(slot)
            self._given_up[slot] = GivenUp(SlotOutcome.TIMED_OUT, f"it was not over within {deadline_s:g} s: {doing}")
        self.end(late, f"its deadline of {deadline_s:g} s has passed")
        told = [slot for slot in waited if slot in self._given_up]
        unresponsive = self.runs.wait(
            told, self.runs.over, until=time.monotonic() + self._ending_s(), check=self.context.host.check
        )
        self.end(unresponsive, "it did not end after it was asked to", abort=True)
        self.runs.wait(
            unresponsive, self.runs.over, until=time.monotonic() + self._ending_s(), check=self.context.host.check
        )

    def report(self, slot: str) -> SlotReport:
        """Return the report of the slot's newest run."""
        return report_of(
            slot, self.runs.ids[slot], self.runs.header(slot), self._given_up.get(slot), self._attempts.get(slot, 1)
        )

    def give_up(self, slot: str, outcome: SlotOutcome, reason: str) -> None:
        """Set a slot's report; the later outcome of its run does not change it."""
        self._given_up.setdefault(slot, GivenUp(outcome, reason))

    def end_all(self, why: str, *, abort: bool = False) -> None:
        """End all unfinished runs as ``end`` does; return when they are over, or when their time is over."""
        queued = [slot for slot in self.runs.ids if not self._rejected(slot)]
        left = self.runs.wait(queued, self.runs.over, until=time.monotonic())
        self.end(left, why, abort=abort)
        self.runs.wait(left, self.runs.over, until=time.monotonic() + self._ending_s())
        self.reports.update({slot: self.report(slot) for slot in self.runs.ids if slot not in self.reports})

    def end(self, slots: Iterable[str], why: str, *, abort: bool = False) -> None:
        """End runs: stop a process, unless ``abort`` is true, and abort any other operation.

        Waiting runs are removed from their queues.
        """
        by = f"workflow {self.context.id[:8]}"
        for slot in slots:
            run = Run(self.runs.ids[slot], connection=self.context.connection)
            record = self.runs.header(slot)
            is_process = record is not None and bool(record.op_name) and operation_of(record.op_name).process
            with best_effort(f"{run.id} is not asked to end; its leash ends it", SmurfqError):  # or not queued
                run.stop(by, why) if is_process and not abort else run.abort(by, why)

    def _rejected(self, slot: str) -> bool:
        return slot in self._given_up and self._given_up[slot].outcome is SlotOutcome.REJECTED

    def _check(self) -> None:
        """Check from time to time whether each slot on which a run waits has a worker."""
        self.context.host.check()
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + _LOOK_ROUND_S
        with best_effort("it is not known which slots have a worker"):
            for slot in self.runs.ids:
                record = self.runs.header(slot)
                if record and record.status == "queued" and record.op_name and slot not in self._given_up:
                    self._look_for_worker(slot, operation_of(record.op_name).lane)

    def _look_for_worker(self, slot: str, lane: Lane) -> None:
        if is_served(self.context.connection, slot, lane):
            self._unserved_since.pop(slot, None)
            return
        since = self._unserved_since.setdefault(slot, time.monotonic())
        if time.monotonic() - since >= UNSERVED_S:
            self._given_up[slot] = GivenUp(SlotOutcome.LOST, f"no worker has served {slot} for {UNSERVED_S:g} s")
            self.end([slot], "no worker serves the slot")

    def _doing(self, slot: str) -> str:
        with contextlib.suppress(SmurfqError):
            return doing_now(self.context.connection, self.runs.ids[slot])
        return "its record no longer exists"

    def _ending_s(self) -> float:
        limits = self.context.connection.settings.limits
        return limits.abort_grace_s + limits.kill_grace_s + _ENDED_WITHIN_S
