"""Submits workflows to the site, and lists, shows, holds and ends them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from smurfq.client.connection import Connection, connection_of
from smurfq.client.run import Run
from smurfq.client.slot import Priority
from smurfq.config import Settings
from smurfq.core.session import SessionHeader
from smurfq.core.slot import WORKFLOWS
from smurfq.errors import RequestError
from smurfq.store import Records
from smurfq.store.holds import Hold
from smurfq.workflows import catalogue
from smurfq.workflows.definition import Definition
from smurfq.workflows.report import SlotReport

_STEP = "step_"


@dataclass(frozen=True)
class StepStatus:
    """A step of a workflow: an operation on some slots. ``ids`` are the session ids of its newest runs, by slot.

    ``state`` is ``waiting`` (between two slots, or before it is queued), ``running`` or ``done``. ``slots`` contains
    the reports so far. ``undecided`` gives the state of the other runs by slot: ``queued``, ``starting``, ``running``,
    ``stopping`` or an outcome.
    """

    number: int
    name: str
    state: str
    started: float
    ended: float | None
    ids: dict[str, str] = field(default_factory=dict)
    slots: dict[str, SlotReport] = field(default_factory=dict)
    undecided: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the step as a JSON object."""
        return {
            "number": self.number,
            "name": self.name,
            "state": self.state,
            "started": self.started,
            "ended": self.ended,
            "ids": self.ids,
            "slots": {slot: one.to_dict() for slot, one in self.slots.items()},
            "undecided": self.undecided,
        }


@dataclass(frozen=True)
class WorkflowStatus:
    """The progress of a workflow. ``dropped`` gives the reason for each dropped slot, and ``hold`` the present hold.

    ``held`` is true if the workflow waits at the hold, before its next step.
    """

    record: SessionHeader
    name: str
    params: dict[str, Any]
    targets: list[str]
    dropped: dict[str, str]
    steps: list[StepStatus]
    hold: Hold | None
    held: bool = False

    @property
    def state(self) -> str:
        """``queued``, ``running``, ``held``, ``stopping``, or the outcome: ``succeeded``, ``failed``, …."""
        if self.record.done:
            return str(self.record.outcome)
        if self.record.status == "running" and self.held:
            return "held"
        return self.record.status

    def to_dict(self) -> dict[str, Any]:
        """Return the status as a JSON object."""
        return {
            "session_id": self.record.session_id,
            "workflow": self.name,
            "state": self.state,
            "params": self.params,
            "targets": self.targets,
            "dropped": self.dropped,
            "steps": [step.to_dict() for step in self.steps],
            "hold": str(self.hold) if self.hold else None,
            "submit_time": self.record.submit_time,
            "start_time": self.record.start_time,
            "end_time": self.record.end_time,
            "error": self.record.error,
        }


class WorkflowRun(Run):
    """One run of a workflow: a ``Run`` that can also be held before a step.

    ``abort`` ends the whole workflow: its streams are closed, its other running operations are aborted, and its waiting
    operations never start.
    """

    def status(self) -> WorkflowStatus:
        """Return the progress of the workflow, with all its steps.

        Raises
        ------
        RecordNotFoundError
            No workflow has this id.
        """
        with self._connection.reached():
            header = self.header()
            data = self._connection.records.data(self.id)
            hold = self._connection.holds.get(self.id)
            status = _status(header, data, hold)
            return replace(status, steps=_with_undecided(status.steps, self._connection.records))

    def hold(
        self, owner: str | None = None, note: str = "", for_s: float | None = None, *, force: bool = False
    ) -> Hold:
        """Hold the workflow before its next step, until it is released or for ``for_s`` seconds.

        Raises
        ------
        SlotHeldError
            Somebody else holds it, and ``force`` is false.
        RequestError
            The workflow is over.
        """
        if self.header().done:
            raise RequestError(f"workflow {self.id[:8]} is over and cannot be held", session_id=self.id)
        now = time.time()
        hold = Hold(self.id, owner or self._connection.owner, note, now, None if for_s is None else now + for_s)
        with self._connection.reached():
            self._connection.holds.put(hold, force=force)
        return hold

    def release(self, owner: str | None = None, *, force: bool = False) -> bool:
        """Release the workflow; return false if it was not held.

        Raises
        ------
        SlotHeldError
            Somebody else holds it, and ``force`` is false.
        """
        with self._connection.reached():
            return self._connection.holds.release(self.id, owner or self._connection.owner, force=force)


def submit(
    workflow: str,
    params: Mapping[str, Any] | None = None,
    *,
    slots: Iterable[str] | str | None = None,
    min_survivors: int | None = None,
    max_failures: int | None = None,
    priority: Priority = "normal",
    settings: Settings | None = None,
    connection: Connection | None = None,
) -> WorkflowRun:
    """Queue a workflow. The workflows' worker runs it, independently of this process.

    Parameters
    ----------
    workflow
        The name of a workflow that smurfq provides, or the path of a file below one of the site's script folders.
    params
        The workflow's own parameters.
    slots
        The slots of the workflow. Default: all slots of the site.
    min_survivors, max_failures
        The rule for an early end; see ``Policy``.
    priority
        ``urgent``, ``normal`` or ``background``: the order among waiting workflows.
    settings, connection
        The site. Default: the site of this process's environment.

    Raises
    ------
    RequestError
        There is no such workflow, or a parameter is rejected. Nothing was queued.
    StoreUnavailableError
        Redis did not answer. Nothing was queued.
    """
    connection = connection or connection_of(settings)
    name = str(Path(workflow).absolute()) if workflow.endswith(".py") else workflow
    if "/" not in name or Path(name).exists():  # otherwise only the worker's machine has the file and checks it
        catalogue.find(name, connection.settings.scripts.folders).check(params)
    chosen = [slots] if isinstance(slots, str) else None if slots is None else list(slots)
    wanted = {
        "workflow": name,
        "params": dict(params or {}),
        "slots": chosen,
        "min_survivors": min_survivors,
        "max_failures": max_failures,
    }
    run_id = connection.submit("workflow", WORKFLOWS, wanted, priority=priority)
    return WorkflowRun(run_id, connection=connection)


def available() -> list[Definition]:
    """Return the workflows that smurfq provides."""
    return catalogue.shipped()


def recent(
    count: int = 20, settings: Settings | None = None, *, connection: Connection | None = None
) -> list[WorkflowStatus]:
    """Return the workflows that were submitted last, newest first."""
    connection = connection or connection_of(settings)
    with connection.reached():
        return [
            _status(
                header,
                connection.records.data(header.session_id),
                None if header.done else connection.holds.get(header.session_id),
            )
            for header in connection.records.history(WORKFLOWS, count)
        ]


def _status(record: SessionHeader, data: Mapping[str, Any], hold: Hold | None) -> WorkflowStatus:
    if record.op_name != "workflow":
        raise RequestError(
            f"{record.session_id[:8]} is not a workflow but {record.op_name} on {record.slot}; "
            f"`smurfq show {record.session_id[:8]}` shows it",
            session_id=record.session_id,
        )
    asked = record.params
    steps = [_step(int(key.removeprefix(_STEP)), value) for key, value in data.items() if key.startswith(_STEP)]
    name = str(asked.get("workflow", ""))
    return WorkflowStatus(
        record=record,
        name=Path(name).stem if "/" in name else name,
        params=dict(asked.get("params") or {}),
        targets=list(data.get("targets") or asked.get("slots") or ()),
        dropped=dict(data.get("dropped") or {}),
        steps=sorted(steps, key=lambda step: step.number),
        hold=hold,
        held=bool(data.get("held")),
    )


def _with_undecided(steps: Sequence[StepStatus], records: Records) -> list[StepStatus]:
    """Return the steps, with the state of each run without a report; runs that are not yet submitted are left out."""
    open_ids = [{slot: run_id for slot, run_id in step.ids.items() if slot not in step.slots} for step in steps]
    known = records.known_headers([run_id for ids in open_ids for run_id in ids.values()])
    return [
        replace(
            step,
            undecided={
                slot: known[run_id].outcome or known[run_id].status for slot, run_id in ids.items() if run_id in known
            },
        )
        for step, ids in zip(steps, open_ids, strict=True)
    ]


def _step(number: int, value: Mapping[str, Any]) -> StepStatus:
    return StepStatus(
        number=number,
        name=value["name"],
        state=value["state"],
        started=value["started"],
        ended=value.get("ended"),
        ids=dict(value.get("ids") or {}),
        slots={slot: SlotReport.from_dict(slot, one) for slot, one in (value.get("slots") or {}).items()},
    )
