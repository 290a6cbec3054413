"""The environment, the graces and the time limits with which a run is performed."""

from __future__ import annotations

from typing import Any

import pytest

from smurfq.core.slot import WORKFLOWS
from smurfq.errors import UnknownSlotError
from smurfq.pool_child.run_policy import RunPolicy
from smurfq.pool_child.workflow_task import WorkflowPolicy
from tests.claimed_runs import SLOT, MakeRun

LIMITS = {
    "SMURFQ_LIMITS_OPERATION_S": "1000",
    "SMURFQ_LIMITS_ABORT_GRACE_S": "7",
    "SMURFQ_LIMITS_KILL_GRACE_S": "9",
    "SMURFQ_LIMITS_SHUTDOWN_GRACE_S": "11",
}


@pytest.mark.parametrize(
    ("op_name", "request_", "expected"),
    [
        ("run", {}, 1000.0),
        ("run", {"timelimit": [None, 60.0]}, 60.0),
        ("run", {"timelimit": [60.0, 30.0]}, 30.0),
        ("run", {"timelimit": [5000.0, None]}, 1000.0),
        ("stream", {}, None),
        ("stream", {"timelimit": [60.0, None]}, 60.0),
    ],
)
def test_the_shortest_time_limit_counts(
    make_run: MakeRun, op_name: str, request_: dict[str, Any], expected: float | None
) -> None:
    run = make_run(op_name, settings=LIMITS, **request_)
    assert RunPolicy().time_limit_s(run) == expected


def test_a_workflow_has_a_time_limit_only_if_one_is_asked_for(make_run: MakeRun) -> None:
    policy = WorkflowPolicy()
    assert policy.time_limit_s(make_run("workflow", settings=LIMITS)) is None
    assert policy.time_limit_s(make_run("workflow", settings=LIMITS, timelimit=[None, 60.0])) == 60.0


def test_a_workflow_has_the_time_to_end_its_runs_and_none_of_its_own_at_a_shutdown(make_run: MakeRun) -> None:
    settings = make_run(settings=LIMITS).app.settings
    patience_s = settings.limits.clean_workflow_s
    assert (RunPolicy().graces_s(settings), RunPolicy().shutdown_grace_s(settings)) == ((7.0, 9.0), 11.0)
    assert (WorkflowPolicy().graces_s(settings), WorkflowPolicy().shutdown_grace_s(settings)) == (
        (7.0, patience_s),
        0.0,
    )


def test_a_message_is_for_the_slot_that_it_names(make_run: MakeRun) -> None:
    settings = make_run().app.settings
    assert RunPolicy().slot_of(settings, {"slot": SLOT}) == SLOT
    for wrong in ({"slot": "crate9slot9"}, {}):
        with pytest.raises(UnknownSlotError):
            RunPolicy().slot_of(settings, wrong)
    assert WorkflowPolicy().slot_of(settings, {}) == WORKFLOWS


def test_an_operation_publishes_and_drives_only_as_its_own_slot(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMURFPUB_ID", "crate9slot9")
    variables = RunPolicy().environment(make_run(lane="state"))
    assert (variables["SLOT"], variables["SMURFPUB_ID"]) == ("2", f"{SLOT}.state")


def test_a_workflow_gets_no_variables_of_a_card(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MPLBACKEND", raising=False)
    assert WorkflowPolicy().environment(make_run("workflow")) == {"MPLBACKEND": "Agg"}
    monkeypatch.setenv("MPLBACKEND", "svg")
    assert WorkflowPolicy().environment(make_run("workflow")) == {}
