"""Workflows over several slots with real workers, if slots fail, hang or die, or people interfere."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from smurfq import workflows
from smurfq.app import app
from smurfq.client import Run, Slot
from smurfq.client.connection import Connection
from smurfq.errors import ParameterError, RequestError, UnknownSlotError, UnknownWorkflowError, WorkflowHaltedError
from smurfq.workflows import SlotOutcome, Workflow, WorkflowRun, run_operation, step
from tests.site.eventually import WITHIN_S, eventually
from tests.site.live import LiveSite

SLOTS = [f"crate1slot{number}" for number in (1, 2, 3, 4)]
UNSERVED = "crate1slot5"
SEATS = ["workflows.1", "workflows.2"]
pytestmark = pytest.mark.timeout(300)

# What a slot does is in a file of its name beside the script: fail, hang, or nothing.
BY_SLOT = """
import os, time
from pathlib import Path
from typing import Any
asked = Path(__file__).with_name(os.environ["SMURF_OWN_SLOT"])
what = asked.read_text() if asked.exists() else ""
if what == "fail":
    raise RuntimeError("no light in the tunnel")
while what == "hang" and asked.exists():
    time.sleep(0.1)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSite]:
    """Valkey, a bridge, a worker of four slots of five, and two seats for workflows."""
    with LiveSite(
        tmp_path_factory.mktemp("night") / "site",
        SMURFQ_SLOTS=" ".join([*SLOTS, UNSERVED]),
        SMURFQ_WORKFLOWS_AT_ONCE=str(len(SEATS)),
    ) as live:
        live.start_bridge(wait=False)
        live.start_worker(SLOTS[0], slots=SLOTS, wait=False)
        live.start_workflows()
        for slot in SLOTS:
            live.await_worker(slot, f"worker-{SLOTS[0]}")
        yield live


@pytest.fixture
def at(site: LiveSite) -> Connection:
    """A client's way to the site."""
    return Connection(app.settings)


@pytest.fixture
def behaviour(site: LiveSite) -> Iterator[dict[str, str]]:
    """A script that does on a slot what is set here for it."""
    for slot in SLOTS:
        (site.scripts / slot).unlink(missing_ok=True)

    class Files(dict[str, str]):
        def __setitem__(self, slot: str, what: str) -> None:
            (site.scripts / slot).write_text(what)

    yield Files()
    for slot in SLOTS:
        (site.scripts / slot).unlink(missing_ok=True)


def file(site: LiveSite, name: str, body: str) -> str:
    """A workflow's file, which uses the script ``by_slot.py``."""
    script = site.script("by_slot.py", BY_SLOT)
    head = f"from smurfq.workflows import *\nSCRIPT = {script!r}\n\n@workflow\ndef {name}():\n"
    return site.script(f"{name}.py", head + "".join(f"    {line}\n" for line in body.splitlines()))


def submit(at: Connection, path: str, slots: list[str] = SLOTS, **more: Any) -> WorkflowRun:
    return workflows.submit(path, slots=slots, connection=at, **more)


def running_step(run: WorkflowRun, number: int = 1) -> workflows.StepStatus:
    """A step of a workflow, once its runs have been queued."""

    def found() -> list[workflows.StepStatus]:
        return [one for one in run.status().steps if one.number == number and one.state == "running"]

    return eventually(found, what=f"step {number} of {run}")[0]


def in_status(run: Run, status: str) -> None:
    """Return once a run, which may not have been queued yet, has come so far."""
    eventually(lambda: app.records.exists(run.id) and run.record().status == status, what=f"{run} is {status}")


def test_a_step_goes_to_all_slots_and_says_what_became_of_it_on_each(site: LiveSite, at: Connection) -> None:
    with Workflow(SLOTS, connection=at) as night:
        report = run_operation("test", deadline_s=WITHIN_S)
    assert report
    assert list(report.slots) == SLOTS
    for slot, one in report.slots.items():
        assert one.record_id is not None
        record = Run(one.record_id, connection=at).record()
        assert (record.op_name, record.slot, record.outcome) == ("test", slot, "succeeded")
        assert record.root_id == record.parent_id == night.id
    assert night.reports == [report]


def test_alone_a_function_is_a_workflow_of_its_own(site: LiveSite) -> None:
    os.environ.update(site.environ)  # as a producer's own has it
    try:
        report = run_operation("test", targets=[1, "crate1slot2"], concurrent=False)  # type: ignore[list-item]
    finally:
        for name in site.environ:
            del os.environ[name]
    assert report.succeeded == SLOTS[:2]
    with pytest.raises(RequestError, match="in a workflow"):
        workflows.set_targets(SLOTS)
    with pytest.raises(RequestError, match="in a workflow"):
        workflows.stream("on")


def test_a_schedule_with_one_slot_hung_and_one_failing_continues_without_them(
    site: LiveSite, at: Connection, behaviour: dict[str, str]
) -> None:
    behaviour["crate1slot2"] = "fail"
    behaviour["crate1slot3"] = "hang"
    path = file(
        site,
        "hung_and_failing",
        "run_operation('run', {'script': SCRIPT}, deadline_s=8)\nrun_operation('test')",
    )
    run = submit(at, path, min_survivors=2)
    record = run.wait(WITHIN_S)
    assert record.outcome == "succeeded", (record.error, record.log)
    status = run.status()
    assert set(status.dropped) == {"crate1slot2", "crate1slot3"}
    first, second = status.steps
    assert {slot: str(one.outcome) for slot, one in first.slots.items()} == {
        "crate1slot1": "succeeded",
        "crate1slot2": "failed",
        "crate1slot3": "timed out",
        "crate1slot4": "succeeded",
    }
    assert "no light in the tunnel" in first.slots["crate1slot2"].reason
    assert "not over within 8 s: run on crate1slot3 is running" in first.slots["crate1slot3"].reason
    assert Run(first.ids["crate1slot3"], connection=at).record().outcome == "aborted"
    assert sorted(second.slots) == ["crate1slot1", "crate1slot4"]
    assert [name for name, _ in record.stages] == ["1 run", "2 test"]
    assert any("run: 2 of 4 succeeded" in text and "DROPPED" in text for _, text in record.messages)


def test_too_few_survivors_halt_it_and_the_next_step_never_goes_out(
    site: LiveSite, at: Connection, behaviour: dict[str, str]
) -> None:
    behaviour["crate1slot2"] = "fail"
    path = file(site, "halting", "run_operation('run', {'script': SCRIPT})\nrun_operation('test')")
    for limits in ({"min_survivors": 4}, {"max_failures": 0}):
        run = submit(at, path, SLOTS, **limits)
        record = run.wait(WITHIN_S)
        assert record.outcome == "failed"
        assert record.error is not None
        assert record.error["raised"] == "WorkflowHaltedError"
        assert "crate1slot2: step 1 run: " in record.error["message"]
        assert [one.name for one in run.status().steps] == ["run"]


def test_a_worker_that_is_killed_costs_its_slot_only(site: LiveSite, at: Connection, behaviour: dict[str, str]) -> None:
    behaviour["crate1slot4"] = "hang"
    path = file(site, "killed_worker", "run_operation('run', {'script': SCRIPT})\nrun_operation('test')")
    run = submit(at, path)
    hung = Run(running_step(run).ids["crate1slot4"], connection=at)
    in_status(hung, "running")
    os.kill(site.worker_pid("crate1slot4"), signal.SIGKILL)
    record = run.wait(WITHIN_S)
    assert record.outcome == "succeeded", (record.error, record.log)
    first, second = run.status().steps
    assert first.slots["crate1slot4"].outcome == SlotOutcome.LOST
    assert "worker" in first.slots["crate1slot4"].reason
    assert sorted(second.slots) == SLOTS[:3]
    site.await_worker("crate1slot4", f"worker-{SLOTS[0]}")


def test_an_abort_ends_running_operations_and_waiting_ones_never_start(
    site: LiveSite, at: Connection, behaviour: dict[str, str]
) -> None:
    behaviour["crate1slot1"] = "hang"
    held = Slot("crate1slot2", connection=at)
    held.hold("a test")
    try:
        path = file(site, "aborted", "run_operation('run', {'script': SCRIPT})\nrun_operation('test')")
        run = submit(at, path, SLOTS[:2])
        ids = running_step(run).ids
        runs, waits = (Run(ids[slot], connection=at) for slot in SLOTS[:2])
        in_status(runs, "running")
        run.abort("an observer", "clouds", wait_s=WITHIN_S)
    finally:
        held.release("a test")
    assert "by an observer (clouds)" in str(run.record().error)
    assert run.status().state == "aborted"
    ended = runs.record()
    assert (ended.outcome, ended.status) == ("aborted", "done")
    never = waits.record()
    assert (never.outcome, never.start_time) == ("aborted", None)
    assert [one.name for one in run.status().steps] == ["run"]


def test_it_can_be_held_before_a_step_and_continues_when_released(site: LiveSite, at: Connection) -> None:
    gate = site.gate("held_workflow")
    path = file(
        site,
        "held",
        f"run_operation('run', {{'script': {gate.script!r}}})\nrun_operation('test')",
    )
    run = submit(at, path, SLOTS[:1])
    running_step(run)
    run.hold("somebody", "look at the IV first")
    gate.open()
    eventually(lambda: run.status().state == "held", what="held")
    assert len(run.status().steps) == 1
    assert "look at the IV first" in str(run.status().hold)
    assert run.release("somebody")
    assert run.wait(WITHIN_S).outcome == "succeeded"
    assert len(run.status().steps) == 2
    with pytest.raises(RequestError, match="is over"):
        run.hold()


@pytest.mark.parametrize("who", ["operation", "worker"])
def test_a_workflows_runs_end_when_its_process_is_killed(
    site: LiveSite, at: Connection, behaviour: dict[str, str], who: str
) -> None:
    behaviour["crate1slot1"] = "hang"
    held = Slot("crate1slot2", connection=at)
    held.hold("a test")
    path = file(site, "killed", "run_operation('run', {'script': SCRIPT})")
    run = submit(at, path, SLOTS[:2])
    ids = running_step(run).ids
    runs, waits = (Run(ids[slot], connection=at) for slot in SLOTS[:2])
    in_status(runs, "running")
    seat = next(one for one in SEATS if (found := app.fence.running(one)) is not None and found.task_id == run.id)
    running = app.fence.running(seat)
    assert running is not None
    os.kill(running.processes[1].pid if who == "operation" else site.seat_pid(seat), signal.SIGKILL)
    record = run.wait(WITHIN_S)
    assert record.outcome == ("failed" if who == "operation" else "lost")
    ended = runs.wait(WITHIN_S)
    assert ended.outcome == "aborted"
    assert f"its workflow {run.id[:8]}" in str(ended.error)
    held.release("a test")
    never = waits.wait(WITHIN_S)
    assert (never.outcome, never.start_time) == ("aborted", None)
    assert "was not started" in str(never.error)
    site.await_workflows(len(SEATS))


def test_a_retry_is_for_the_slots_that_failed_and_for_what_is_safe_to_repeat(site: LiveSite, at: Connection) -> None:
    held = Slot("crate1slot2", connection=at)
    held.hold("a test")
    with Workflow(SLOTS[:2], connection=at) as night:
        with pytest.raises(ParameterError, match="run is not safe to repeat"):
            run_operation("run", {"script": "/x.py"}, retries=1)
        message = night.host.message

        def release(text: str) -> None:
            message(text)
            if "is retried on crate1slot2" in text:
                held.release("a test")

        night.host.message = release  # type: ignore[method-assign]
        report = run_operation("test", deadline_s=5, retries=1)
    assert report
    assert report["crate1slot1"].attempts == 1
    assert report["crate1slot2"].attempts == 2


def test_one_after_another_only_settles_between_slots(
    site: LiveSite, at: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    with Workflow(SLOTS[:3], connection=at) as night:
        monkeypatch.setattr(night, "wait", waits.append)
        report = run_operation("test", concurrent=False, settling_time=7.0, deadline_s=WITHIN_S)
    assert waits == [7.0, 7.0]
    records = [Run(one.record_id, connection=at).record() for one in report.slots.values() if one.record_id]
    assert len(records) == 3
    assert all(before.end_time <= after.submit_time for before, after in pairwise(records))  # type: ignore[operator]


def test_starts_are_staggered_between_slots(site: LiveSite, at: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(step, "pause", lambda _host, seconds: pauses.append(seconds))
    with Workflow(SLOTS[:3], connection=at):
        assert run_operation("test", stagger_s=3.0, deadline_s=WITHIN_S)
    assert pauses == [3.0, 3.0]


def test_it_lives_through_a_restart_of_redis(site: LiveSite, at: Connection) -> None:
    gate = site.gate("away")
    path = file(site, "away", f"run_operation('run', {{'script': {gate.script!r}}})\nrun_operation('test')")
    run = submit(at, path, SLOTS[:2])
    ids = running_step(run).ids
    for run_id in ids.values():
        in_status(Run(run_id, connection=at), "running")
    site.valkey.restart(2.0)
    gate.open()
    record = run.wait(WITHIN_S)
    assert record.outcome == "succeeded", (record.error, record.log)
    assert [list(one.slots) for one in run.status().steps] == [SLOTS[:2], SLOTS[:2]]


def test_a_slot_that_nobody_serves_is_dropped_before_its_deadline(
    site: LiveSite, at: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step, "UNSERVED_S", 0.5)
    with Workflow([SLOTS[0], UNSERVED], connection=at):
        report = run_operation("test", deadline_s=WITHIN_S)
    assert report[SLOTS[0]].ok
    assert report[UNSERVED].outcome == SlotOutcome.LOST
    assert f"no worker has served {UNSERVED}" in report[UNSERVED].reason
    assert Slot(UNSERVED, connection=at).queue() == []


def test_an_error_in_a_producers_python_ends_the_runs_that_it_started(
    site: LiveSite, at: Connection, behaviour: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    behaviour["crate1slot1"] = "hang"
    script = site.script("by_slot.py", BY_SLOT)
    with pytest.raises(KeyboardInterrupt), Workflow(SLOTS[:1], connection=at) as night:

        def interrupt() -> None:
            running = app.fence.running(SLOTS[0])
            if running is not None and Run(running.task_id, connection=at).record().status == "running":
                raise KeyboardInterrupt

        monkeypatch.setattr(night.host, "check", interrupt)
        run_operation("run", {"script": script})
    newest = Slot(SLOTS[0], connection=at).history(1)[0]
    assert (newest.op_name, newest.outcome) == ("run", "aborted")


def test_nothing_is_queued_where_a_request_is_wrong(site: LiveSite, at: Connection) -> None:
    before = [one.record.session_id for one in workflows.recent(5, connection=at)]
    path = file(site, "never", "run_operation('test')")
    requests: list[tuple[dict[str, Any], type[Exception]]] = [
        ({"workflow": "cold_star"}, UnknownWorkflowError),
        ({"workflow": "/etc/passwd"}, UnknownWorkflowError),
        ({"workflow": "observation", "params": {"duration_s": "long"}}, ParameterError),
        ({"workflow": path, "params": {"n": 1}}, ParameterError),
        ({"workflow": path, "slots": ["crate1slot6"]}, UnknownSlotError),
        ({"workflow": path, "min_survivors": -1}, ParameterError),
    ]
    for wrong, error in requests:
        with pytest.raises(error):
            workflows.submit(**wrong, connection=at)
    with Workflow(SLOTS, connection=at), pytest.raises(ParameterError, match="no parameter 'bias_groups'"):
        run_operation("set_biases", {"bias_groups": 1})
    assert [one.record.session_id for one in workflows.recent(5, connection=at)] == before


def test_a_message_from_elsewhere_is_checked_by_its_worker_before_any_step(site: LiveSite, at: Connection) -> None:
    result = app.send_task("smurfq.workflow", kwargs={"workflow": "observation", "params": {"duration": 5}})
    record = Run(result.id, connection=at).wait(WITHIN_S)
    assert record.outcome == "failed"
    assert "did you mean 'duration_s'" in str(record.error)
    assert WorkflowRun(result.id, connection=at).status().steps == []
    with pytest.raises(RequestError, match="is not a workflow but test"):
        WorkflowRun(Slot(SLOTS[0], connection=at).submit("test").id, connection=at).status()


def test_a_plain_file_is_run_from_top_to_bottom_and_workflows_run_beside_each_other(
    site: LiveSite, at: Connection
) -> None:
    gate = site.gate("beside")
    first = submit(at, file(site, "first", f"run_operation('run', {{'script': {gate.script!r}}})"), SLOTS[:1])
    running_step(first)
    plain = site.script("plain.py", "from smurfq.workflows import run_operation\nprint(run_operation('test'))\n")
    second = submit(at, plain, SLOTS[1:2])
    record = second.wait(WITHIN_S)
    assert record.outcome == "succeeded", (record.error, record.log)
    assert "test: 1 of 1 succeeded" in record.log
    assert record.complete
    gate.open()
    assert first.wait(WITHIN_S).outcome == "succeeded"
    names = [one.name for one in workflows.recent(2, connection=at)]
    assert names == ["plain", "first"]
    assert Path(record.log_file or "").is_file()


def test_a_halt_tells_a_producer_who_was_dropped(site: LiveSite, at: Connection, behaviour: dict[str, str]) -> None:
    behaviour["crate1slot3"] = "fail"
    script = site.script("by_slot.py", BY_SLOT)
    with Workflow(SLOTS[2:3], connection=at) as night, pytest.raises(WorkflowHaltedError, match="crate1slot3") as halt:
        run_operation("run", {"script": script})
    assert halt.value.fields["left"] == []
    assert list(night.dropped) == ["crate1slot3"]
    night.forgive()
    assert night.left == ["crate1slot3"]


def test_the_workflows_workers_have_none_of_the_libraries(site: LiveSite) -> None:
    process = psutil.Process(site.processes["workflows"].pid)
    mapped = {entry.path for child in [process, *process.children(recursive=True)] for entry in child.memory_maps()}
    assert not [path for path in mapped if "numpy" in path or "libca" in path]
