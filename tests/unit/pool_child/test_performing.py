"""The job of a claimed run, and the ends that its worker asks for while it runs."""

from __future__ import annotations

import pytest

from smurfq.core import identity
from smurfq.core.message_headers import OWNER
from smurfq.core.session import SessionHeader
from smurfq.pool_child.claimed_run import ClaimedRun
from smurfq.pool_child.end_request import AbortRequest, EndRequest, StopRequest
from smurfq.pool_child.performing import is_emergency, job_of
from smurfq.pool_child.run_policy import RunPolicy
from smurfq.pool_child.workflow_task import WorkflowPolicy
from tests.claimed_runs import SLOT, MakeRun

NOT_A_DESCRIPTOR = 12345


def locked(run: ClaimedRun) -> ClaimedRun:
    """Return the run as ``take_card`` leaves it."""
    run.lock = NOT_A_DESCRIPTOR
    return run


def test_a_job_is_that_of_its_run(make_run: MakeRun) -> None:
    run = locked(make_run("run", task_id="a-run"))
    run.params = {"script": "/x.py", "log": False}
    job = job_of(run, RunPolicy())
    assert (job.task_id, job.op_name, job.slot, job.publisher) == ("a-run", "run", SLOT, SLOT)
    assert (job.params, job.log, job.locks) == (run.params, False, (NOT_A_DESCRIPTOR,))
    assert (job.running, job.record) == (run.running, run.record)
    assert job.graces_s == RunPolicy().graces_s(run.app.settings)
    assert job.drives_card


def test_only_the_control_lane_of_a_slot_drives_its_card(make_run: MakeRun) -> None:
    assert not job_of(locked(make_run("check_state", lane="state")), RunPolicy()).drives_card
    assert not job_of(locked(make_run("workflow")), WorkflowPolicy()).drives_card


def test_an_operation_submits_in_the_name_of_its_own_submitter(make_run: MakeRun) -> None:
    run = locked(make_run(**{OWNER: "observer"}))
    assert job_of(run, RunPolicy()).environment[identity.VARIABLE] == "observer"
    assert identity.VARIABLE not in job_of(locked(make_run()), RunPolicy()).environment


@pytest.mark.parametrize(
    ("op_name", "expected"),
    [
        ("take_iv", [AbortRequest("smurfq", "the worker is being stopped", delay_s=11.0)]),
        (
            "stream",
            [
                StopRequest("smurfq", "the worker is being stopped"),
                AbortRequest("smurfq", "the worker is being stopped", delay_s=11.0),
            ],
        ),
    ],
)
def test_a_worker_that_is_stopped_ends_its_operation(
    make_run: MakeRun, op_name: str, expected: list[EndRequest]
) -> None:
    run = locked(make_run(op_name, settings={"SMURFQ_LIMITS_SHUTDOWN_GRACE_S": "11"}))
    job = job_of(run, RunPolicy())
    assert list(job.once) == [run.worker.stop_fd]
    asked: list[EndRequest] = []
    job.once[run.worker.stop_fd](asked.append)
    assert asked == expected


@pytest.mark.parametrize(
    ("waiting", "expected"),
    [
        ([], False),
        ([SessionHeader("a", slot=SLOT, status="queued")], True),
        ([SessionHeader("a", slot=SLOT, status="done"), SessionHeader("b", slot=SLOT, status="queued")], True),
        ([SessionHeader("a", slot=SLOT, status="done")], False),
        ([SessionHeader("a", slot="crate1slot3", status="queued")], False),
    ],
)
def test_only_an_emergency_operation_that_is_still_to_run_here_aborts_another(
    waiting: list[SessionHeader], expected: bool
) -> None:
    assert is_emergency(waiting, SLOT) is expected
