"""The workflow's steps are existing operations, with valid parameters."""

from __future__ import annotations

import pytest

from smurfq import operations
from smurfq.site.demo.workflow import STEPS, Step


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.operation)
def test_a_step_would_be_accepted(step: Step) -> None:
    checked = operations.check(step.operation, dict(step.params))
    assert checked.items() >= step.params.items()
    assert step.why


def test_the_steps_are_in_the_order_of_their_dependencies() -> None:
    assert [step.operation for step in STEPS] == [
        "take_bgmap",
        "take_iv",
        "bias_dets",
        "take_bias_steps",
        "take_noise",
        "stream",
    ]
