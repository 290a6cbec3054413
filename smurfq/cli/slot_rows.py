"""The rows of the live table: a slot's status, its earlier runs, and the workflow that it serves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from smurfq.client.connection import Connection
from smurfq.client.slots import Slots
from smurfq.client.status import RunStatus, SlotStatus
from smurfq.core import stages
from smurfq.core.session import Outcome, SessionHeader
from smurfq.errors import RecordNotFoundError, RequestError
from smurfq.workflows import WorkflowRun, WorkflowStatus

_EARLIER = 20  # number of earlier runs of an operation on a slot that are searched for a successful one


@dataclass(frozen=True)
class Row:
    """A slot at one moment. ``left_s`` is estimated from an earlier run's duration, or from the ``duration`` given."""

    slot: str
    stream_id: str
    alive: bool
    operation: str | None = None
    session_id: str | None = None
    status: str | None = None
    stage: str | None = None
    stage_number: int | None = None
    stages: int | None = None
    elapsed_s: float | None = None
    left_s: float | None = None
    message: str | None = None
    waiting: int = 0
    hold: str | None = None
    lock: str | None = None
    workflow: str | None = None
    workflow_id: str | None = None
    step: str | None = None
    last_operation: str | None = None
    last_outcome: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the row as a JSON object."""
        return asdict(self)

    def gist(self) -> Mapping[str, Any]:
        """Return the row without the fields that change with time alone."""
        return {name: value for name, value in asdict(self).items() if name not in ("elapsed_s", "left_s")}


class Rows:
    """Reads the rows of some slots. Facts that cannot change are read only once."""

    def __init__(self, connection: Connection, slots: Iterable[str]) -> None:
        self._connection = connection
        self._slots = Slots(slots, connection=connection)
        self._expected: dict[str, float | None] = {}

    def read(self) -> list[Row]:
        """Return the current rows."""
        found = self._slots.status()
        workflows: dict[str, WorkflowStatus | None] = {}
        return [self._row(status, workflows) for status in found.values()]

    def _row(self, status: SlotStatus, workflows: dict[str, WorkflowStatus | None]) -> Row:
        told: dict[str, Any] = {
            "slot": status.slot,
            "stream_id": status.stream_id,
            "alive": status.alive,
            "waiting": len(status.waiting),
            "hold": status.hold.words() if status.hold else None,
            "lock": status.lock.words() if status.lock else None,
        }
        if status.last is not None:
            told |= {"last_operation": status.last.op_name, "last_outcome": status.last.outcome}
        run = next((one for one in status.running if one.lane == "control"), None)
        if run is not None:
            told |= self._run(run) | self._workflow(run.record, workflows)
        return Row(**told)

    def _run(self, run: RunStatus) -> dict[str, Any]:
        record = run.record
        known = stages.OF_OPERATION.get(record.op_name, ())
        number = known.index(run.stage) + 1 if run.stage in known else None
        expected = self._expected_s(record)
        elapsed = run.elapsed_s
        return {
            "operation": record.op_name,
            "session_id": record.session_id,
            "status": record.status,
            "stage": run.stage,
            "stage_number": number,
            "stages": len(known) or None,
            "elapsed_s": elapsed,
            "left_s": None if expected is None or elapsed is None else max(0.0, expected - elapsed),
            "message": run.message,
        }

    def _expected_s(self, record: SessionHeader) -> float | None:
        """Return the duration of the newest successful run of this operation there, or ``duration`` if it is longer."""
        if record.session_id not in self._expected:
            self._expected[record.session_id] = self._earlier_s(record)
        return self._expected[record.session_id]

    def _earlier_s(self, record: SessionHeader) -> float | None:
        duration = record.params.get("duration")
        asked = float(duration) if isinstance(duration, int | float) else None
        if record.op_name == "stream":
            return asked
        earlier = (
            one.end_time - one.start_time
            for one in self._connection.records.history(record.slot, _EARLIER, operation=record.op_name)
            if one.outcome == Outcome.SUCCEEDED and one.end_time and one.start_time
        )
        took = next(earlier, None)
        return asked if took is None else max(took, asked or 0.0)

    def _workflow(self, record: SessionHeader, known: dict[str, WorkflowStatus | None]) -> dict[str, Any]:
        parent = record.parent_id
        if not parent:
            return {}
        if parent not in known:
            try:
                known[parent] = WorkflowRun(parent, connection=self._connection).status()
            except (RequestError, RecordNotFoundError):  # a step of a chain: its parent is the step before it
                known[parent] = None
        found = known[parent]
        if found is None:
            return {}
        steps = [step for step in found.steps if record.session_id in step.ids.values()] or found.steps[-1:]
        return {
            "workflow": found.name,
            "workflow_id": parent,
            "step": f"{steps[-1].number} {steps[-1].name}" if steps else None,
        }
