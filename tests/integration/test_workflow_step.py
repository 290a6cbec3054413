"""One step of a workflow against a real Valkey, without workers: the tests write what workers would."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from smurfq.client import Run, Slot
from smurfq.client.connection import Connection
from smurfq.config import load
from smurfq.core.session import Outcome
from smurfq.errors import OperationAbortedError
from smurfq.store.connection import Client
from smurfq.workflows import sending
from smurfq.workflows import step as module
from smurfq.workflows.context import WorkflowContext
from smurfq.workflows.host import ProducerHost
from smurfq.workflows.report import SlotOutcome
from smurfq.workflows.step import Asked, Step
from tests.integration.records import Writer, beside
from tests.site.eventually import WITHIN_S, eventually

SLOTS = ["crate1slot2", "crate1slot3"]
TEST = Asked("test", {}, WITHIN_S)


class Host(ProducerHost):
    """Keeps what a step writes into its workflow's record, and ends the workflow when told to."""

    def __init__(self, at: Connection) -> None:
        self._at = at
        self.written: list[tuple[dict[str, Any], int]] = []  # a state, and how many messages waited then
        self.abort_at = float("inf")
        self._checks = itertools.count()

    def data(self, **values: Any) -> None:
        waiting = sum(map(len, self._at.queues.waiting_of(SLOTS).values()))
        self.written.append((values["step_1"], waiting))

    def check(self) -> None:
        if next(self._checks) >= self.abort_at:
            raise OperationAbortedError("asked for")


@pytest.fixture
def at(valkey: Client, valkey_url: str) -> Connection:
    return Connection(load({"SMURFQ_REDIS_URL": valkey_url, "SMURFQ_SLOTS": " ".join(SLOTS)}))


@pytest.fixture
def host(at: Connection) -> Host:
    return Host(at)


@pytest.fixture
def step(at: Connection, host: Host) -> Iterator[Step]:
    """A step on two slots."""
    yield Step(WorkflowContext("a-workflow", at, host), 1, "test", SLOTS)
    assert [slot for slot, waiting in at.queues.waiting_of(SLOTS).items() if waiting] == [], "left behind"


def test_its_runs_are_known_before_they_are_queued_and_all_are_queued_at_once(
    at: Connection, host: Host, step: Step
) -> None:
    step.send(TEST, SLOTS, 1, 0.0, leashed=True)
    ((written, waiting),) = host.written
    assert (written["name"], written["state"], waiting) == ("test", "running", 0)
    for slot in SLOTS:
        (message,) = Slot(slot, connection=at).queue()
        assert message.task_id == written["ids"][slot]
        assert message.headers["smurfq_step"] == "a-workflow 1 test"
        assert message.headers["smurfq_leash"] == "a-workflow"
    step.end_all("the test is over")


def test_the_reports_tell_how_each_run_ended(at: Connection, host: Host, step: Step) -> None:
    def work() -> None:
        eventually(lambda: all(at.queues.waiting_of(SLOTS).values()), what="queued")
        for slot, outcome in zip(SLOTS, (Outcome.SUCCEEDED, Outcome.FAILED), strict=True):
            writer = Writer(at, step.runs.ids[slot])
            writer.start(slot)
            writer.end(outcome, None if outcome is Outcome.SUCCEEDED else {"message": "no light"}, slot)

    with beside(work):
        reports = step.do(TEST, SLOTS, 1)
    assert [(str(one.outcome), one.reason) for one in reports.values()] == [("succeeded", ""), ("failed", "no light")]
    assert all(one.took_s is not None and one.record_id == step.runs.ids[slot] for slot, one in reports.items())
    assert host.written[-1][0]["slots"]["crate1slot3"]["reason"] == "no light"


def test_a_slot_that_rejects_it_does_not_keep_it_from_the_others(at: Connection, step: Step) -> None:
    Slot("crate1slot2", connection=at).lock("ann", "swap")
    step.send(TEST, SLOTS, 1, 0.0, leashed=False)
    assert [len(waiting) for waiting in at.queues.waiting_of(SLOTS).values()] == [0, 1]
    report = step.report("crate1slot2")
    assert (report.outcome, report.record_id) == (SlotOutcome.REJECTED, None)
    assert "is locked by ann" in report.reason
    step.end_all("the test is over")


def test_what_is_not_over_by_its_deadline_is_ended(at: Connection, step: Step) -> None:
    reports = step.do(Asked("test", {}, 0.2), SLOTS, 1)
    for slot, report in reports.items():
        assert report.outcome == SlotOutcome.TIMED_OUT
        assert report.reason.startswith("it was not over within 0.2 s: test is next in the queue of")
        assert "has not ended" not in report.reason
        record = Run(step.runs.ids[slot], connection=at).record()
        assert (record.outcome, record.start_time) == ("aborted", None)


def test_a_slot_without_a_worker_is_not_waited_for(at: Connection, step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "UNSERVED_S", 0.0)
    monkeypatch.setattr(module, "_LOOK_ROUND_S", 0.0)
    reports = step.do(TEST, SLOTS, 1)
    assert {report.outcome for report in reports.values()} == {SlotOutcome.LOST}
    assert reports["crate1slot3"].reason == "no worker has served crate1slot3 for 0 s"


@pytest.mark.parametrize(
    ("operation", "abort", "verb"), [("stream", False, "stop"), ("stream", True, "abort"), ("test", False, "abort")]
)
def test_a_process_is_ended_in_good_order_and_anything_else_aborted(
    at: Connection, step: Step, operation: str, abort: bool, verb: str
) -> None:
    step.send(Asked(operation, {}, WITHIN_S), SLOTS[:1], 1, 0.0, leashed=False)
    run_id = step.runs.ids["crate1slot2"]
    Writer(at, run_id).start()
    step.runs.read(SLOTS[:1], 0.0)
    step.end(SLOTS[:1], "enough", abort=abort)
    asked = next(at.control_requests.subscribe(run_id, block_ms=100))
    assert asked is not None
    assert (asked.verb, asked.by, asked.reason) == (verb, "workflow a-workfl", "enough")


def test_what_redis_took_in_before_it_went_away_is_its_own(
    at: Connection, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "new_id", lambda: "an-id")
    sending.send(at, "test", {"crate1slot2": "an-id"}, {}, workflow="a-workflow", step="1 test", leashed=False)
    step.send(TEST, SLOTS[:1], 1, 0.0, leashed=False)
    assert step.report("crate1slot2").outcome != SlotOutcome.REJECTED
    step.end_all("the test is over")
    assert step.reports["crate1slot2"].outcome == SlotOutcome.ABORTED


def test_an_abort_of_the_workflow_ends_the_wait(at: Connection, host: Host, step: Step) -> None:
    host.abort_at = 5
    with pytest.raises(OperationAbortedError, match="asked for"):
        step.do(TEST, SLOTS, 1)
    step.end_all("it was broken off")
    assert [str(report.outcome) for report in step.reports.values()] == ["aborted", "aborted"]
    assert "it was broken off" in step.reports["crate1slot2"].reason
