"""When a workflow ends early, what is tried again, and how long a step may take."""

from __future__ import annotations

import pytest

from smurfq.errors import ParameterError
from smurfq.operations import OPERATIONS
from smurfq.workflows import Policy, SlotOutcome, SlotReport
from smurfq.workflows.policy import (
    QUEUE_ALLOWANCE_S,
    check_options,
    check_retries,
    default_deadline_s,
    split_options,
    to_retry,
)


@pytest.mark.parametrize(
    ("policy", "left", "dropped", "halts"),
    [
        (Policy(), 1, 6, False),
        (Policy(), 0, 7, True),
        (Policy(min_survivors=5), 5, 2, False),
        (Policy(min_survivors=5), 4, 3, True),
        (Policy(min_survivors=0), 0, 7, False),
        (Policy(max_failures=0), 7, 0, False),
        (Policy(max_failures=0), 6, 1, True),
        (Policy(max_failures=2), 5, 2, False),
        (Policy(max_failures=2), 4, 3, True),
    ],
)
def test_it_halts_with_too_few_left_or_too_many_dropped(policy: Policy, left: int, dropped: int, halts: bool) -> None:
    why = policy.why_halt(["x"] * left, ["y"] * dropped)
    assert (why is not None) is halts


@pytest.mark.parametrize("name", OPERATIONS)
def test_only_what_the_table_marks_as_safe_to_repeat_may_be_retried(name: str) -> None:
    assert check_retries(name, 0) == 0
    if OPERATIONS[name].repeatable:
        assert check_retries(name, 2) == 2
    else:
        with pytest.raises(ParameterError, match=f"{name} is not safe to repeat"):
            check_retries(name, 1)


@pytest.mark.parametrize("retries", [-1, 1.5, True, "2", None])
def test_a_count_of_retries_is_a_count(retries: object) -> None:
    with pytest.raises(ParameterError, match="retries must be a whole number"):
        check_retries("test", retries)  # type: ignore[arg-type]


def test_an_unknown_option_is_rejected_with_the_nearest_known_one() -> None:
    check_options("take_iv", {"deadline_s": 900.0, "targets": ["crate1slot2"], "max_failures": None})
    with pytest.raises(ParameterError, match="take_iv: a step has no option 'deadline'; did you mean 'deadline_s'"):
        check_options("take_iv", {"deadline": 900.0})


def test_the_options_of_a_step_are_told_from_keywords_of_sodetlib() -> None:
    how, passed = split_options({"deadline_s": 900.0, "downsample_factor": 8, "filter_disable": False})
    assert how == {"deadline_s": 900.0}
    assert passed == {"downsample_factor": 8, "filter_disable": False}


def test_what_somebody_aborted_or_what_is_refused_is_not_tried_again() -> None:
    reports = [SlotReport(str(outcome), outcome) for outcome in SlotOutcome]
    assert to_retry(reports) == ["failed", "lost", "timed out"]


def test_a_step_may_take_its_operations_time_and_what_waits_in_front() -> None:
    assert default_deadline_s("uxm_setup", {}, 7200.0) == 3600.0 + QUEUE_ALLOWANCE_S
    assert default_deadline_s("take_noise", {"duration": 60.0}, 7200.0) == 960.0 + QUEUE_ALLOWANCE_S
    assert default_deadline_s("run", {}, 7200.0) == 7200.0 + QUEUE_ALLOWANCE_S
