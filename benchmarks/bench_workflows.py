"""What a step over a crate of seven slots costs beside one over one slot, and a schedule with slots that misbehave."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.figures import Row, Table, times
from smurfq import workflows
from smurfq.app import app
from smurfq.client import Slots
from smurfq.client.connection import Connection
from smurfq.workflows import Workflow, run_operation
from tests.site.live import LiveSite

CRATE = [f"crate1slot{number}" for number in range(1, 8)]
_TIMES = 30
_WITHIN_S = 120.0
_DEADLINE_S = 5.0
_BY_SLOT = """
import os, time
slot = os.environ["SMURFPUB_ID"]
if slot == "crate1slot2":
    raise RuntimeError("fails")
while slot == "crate1slot3":
    time.sleep(0.1)
"""


def measure() -> Table:
    """Fan out and join over one slot and over seven, from a producer and on the workers' side."""
    with _site() as live:
        at = Connection(app.settings)
        for slots in (CRATE[:1], CRATE):
            _steps(at, slots, 2)  # the first of each meets cold connections
        one, seven = _steps(at, CRATE[:1], _TIMES), _steps(at, CRATE, _TIMES)
        rows = [
            Row("a step on one slot, from a producer", times([s.whole_s for s in one]), times(_by_hand(at, CRATE[:1]))),
            Row("the same on seven slots", times([s.whole_s for s in seven]), times(_by_hand(at, CRATE))),
            Row("start of a step on seven slots: until the last start", times([s.fan_out_s for s in seven])),
            Row("end of a step on seven slots: from the last end", times([s.join_s for s in seven])),
            Row("a step on seven slots, in the workflows' worker", times(_on_the_workers(at, live))),
            Row(f"a step with one slot hanging and one failing, deadline {_DEADLINE_S:g} s", _misbehaving(at, live)),
        ]
    remarks = [
        "The steps run `test` on seven slots, with workers that have not loaded pysmurf, on the two cores of",
        "this machine. Baseline: the client's `Slots.submit` and `Slots.wait`, which are not atomic and have",
        "no deadline, policy or report.",
    ]
    return Table("Workflows: a crate of seven slots", rows, remarks)


class _Step:
    """The times of one step, in s."""

    def __init__(self, at: Connection, slots: list[str]) -> None:
        began = time.time()
        with Workflow(slots, connection=at):
            report = run_operation("test", deadline_s=_WITHIN_S)
            ended = time.time()
        assert report, report
        records = at.records.headers([one.record_id or "" for one in report.slots.values()])
        self.whole_s = ended - began
        self.fan_out_s = max(record.start_time or 0.0 for record in records) - began
        self.join_s = ended - max(record.end_time or 0.0 for record in records)


def _steps(at: Connection, slots: list[str], count: int) -> list[_Step]:
    return [_Step(at, slots) for _ in range(count)]


def _by_hand(at: Connection, names: list[str]) -> list[float]:
    slots, samples = Slots(names, connection=at), []
    for _ in range(_TIMES):
        began = time.perf_counter()
        found = slots.wait(slots.submit("test"), _WITHIN_S)
        samples.append(time.perf_counter() - began)
        assert all(record.success for record in found.values())
    return samples


def _on_the_workers(at: Connection, live: LiveSite) -> list[float]:
    body = f"from smurfq.workflows import run_operation\nfor _ in range({_TIMES}):\n    run_operation('test')\n"
    run = workflows.submit(live.script("many.py", body), slots=CRATE, connection=at)
    assert run.wait(_WITHIN_S).success
    return [(step.ended or 0.0) - step.started for step in run.status().steps]


def _misbehaving(at: Connection, live: LiveSite) -> str:
    script = live.script("by_slot.py", _BY_SLOT)
    body = (
        "from smurfq.workflows import run_operation\n"
        f"run_operation('run', {{'script': {script!r}}}, deadline_s={_DEADLINE_S})\nrun_operation('test')\n"
    )
    run = workflows.submit(live.script("night.py", body), slots=CRATE, connection=at)
    record = run.wait(_WITHIN_S)
    first, second = run.status().steps
    assert record.success, record.error
    assert len(second.slots) == len(CRATE) - 2
    took_s = (first.ended or 0.0) - first.started
    return f"ended after {took_s:.2f} s, the next ran on {len(second.slots)} slots"


@contextmanager
def _site() -> Iterator[LiveSite]:
    """A crate of seven slots in one worker, and the workflows' worker."""
    variables = {"SMURFQ_SLOTS": " ".join(CRATE), "SMURFQ_LIMITS_ABORT_GRACE_S": "10"}
    with (
        tempfile.TemporaryDirectory(prefix="smurfq-bench-") as folder,
        LiveSite(Path(folder) / "site", **variables) as live,
    ):
        live.start_bridge(wait=False)
        live.start_workflows(wait=False)
        live.start_worker(CRATE[0], slots=CRATE)
        live.await_workflows(1)
        yield live
