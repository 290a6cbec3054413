"""Defines the demo's observing workflow: one Celery chain, from the bias groups to a science stream."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from smurfq import operations
from smurfq.client.connection import Connection
from smurfq.client.run import Run
from smurfq.errors import WaitTimeoutError

STREAM_S = 5.0
_SENT_WITHIN_S = 15.0
_LOOK_EVERY_S = 0.05


@dataclass(frozen=True)
class Step:
    """An operation of the workflow, with arguments for the shortest measurement that gives a good result."""

    operation: str
    why: str
    params: Mapping[str, Any] = field(default_factory=dict)


STEPS: tuple[Step, ...] = (
    Step(
        "take_bgmap",
        "the bias line of every detector",
        {"kwargs": {"nsteps": 6, "hcm_wait_time": 0.5}},
    ),
    Step(
        "take_iv",
        "normal resistance and saturation power of every detector",
        {
            "kwargs": {
                "bias_high": 16.0,
                "bias_low": 0.0,
                "bias_step": 0.1,
                "wait_time": 0.05,
                "overbias_wait": 0.3,
                "cool_wait": 0.5,
                "show_plots": False,
            }
        },
    ),
    Step("bias_dets", "into the middle of the transition", {"rfrac": 0.5}),
    Step(
        "take_bias_steps",
        "the operating point of every detector in its transition",
        {"kwargs": {"nsteps": 8, "hcm_wait_time": 0.5, "show_plots": False}},
    ),
    Step("take_noise", "white noise", {"duration": 15.0, "kwargs": {"nperseg": 512, "show_plot": False}}),
    Step("stream", "to g3 files", {"duration": STREAM_S, "tag": "demo"}),
)


def full_steps(bands: Sequence[int]) -> tuple[Step, ...]:
    """Return the workflow for a card that was never set up, on these bands."""
    return (
        Step(
            "uxm_setup",
            "amplifiers, attenuators, delay, resonators, tones, tracking and noise, from nothing",
            {"bands": list(bands), "kwargs": {"show_plots": False}},
        ),
        Step("uxm_relock", "the same again, from the tune of the setup", {"bands": list(bands)}),
        *STEPS,
    )


def submit(connection: Connection, slot: str, steps: Sequence[Step] = STEPS) -> list[str]:
    """Send ``steps`` as one chain, and return their session ids. Each step that succeeds sends the next one."""
    from celery import chain  # noqa: PLC0415 - half of a command's start time, and most commands do not need it

    app = connection.app
    for step in steps:  # when a chain is sent, only its first step is checked
        operations.check(step.operation, dict(step.params))
    signatures = [
        app.signature(operations.task_name(step.operation), kwargs={**step.params, "slot": slot}, immutable=True)
        for step in steps
    ]
    with connection.reached():
        result = chain(*signatures, app=app).apply_async()
    ids: list[str] = []
    while result is not None:
        ids.insert(0, str(result.id))
        result = result.parent
    return ids


def sent(connection: Connection, run_id: str) -> Run:
    """Wait until a step of a chain has been sent by the step before it, and return its run.

    Raises
    ------
    WaitTimeoutError
        The step was not sent, since the chain has ended.
    """
    deadline = time.monotonic() + _SENT_WITHIN_S
    while True:
        with connection.reached():
            if connection.records.exists(run_id):
                return Run(run_id, connection=connection)
        if time.monotonic() > deadline:
            raise WaitTimeoutError(f"the chain's step {run_id} was not sent within {_SENT_WITHIN_S:g} s")
        time.sleep(_LOOK_EVERY_S)
