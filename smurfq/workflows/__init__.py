"""Observing workflows over one or more slots: the functions with which schedules are written.

>>> from smurfq.workflows import bias_step, iv_curve, streaming, wait, workflow
>>> @workflow  # doctest: +SKIP
... def observe(duration_s: float = 600.0) -> None:
...     iv_curve(tag="night")
...     with streaming(tag="cmb") as streams:
...         streams.wait(duration_s)
...     bias_step()

``smurfq workflow submit observe.py`` runs it in the workflows' worker. It does not need pysmurf.

``functions`` contains the steps, and ``streams`` starts and always closes streams. ``running`` contains a workflow's
state (slots, drop list, policy), and ``step`` one step. ``policy``, ``verdict`` and ``report`` are their rules and
results. ``context`` is the part of a workflow that its steps need; ``sending`` and ``leash_renewal`` connect them to
the slots. ``host`` and ``terminating`` describe the process in which a workflow runs. ``decorator``, ``definition``,
``parameter_types`` and ``catalogue`` find and read workflows. ``submitting`` submits one to the workflows' worker,
whose process runs ``body``.
"""

from __future__ import annotations

from smurfq.workflows.decorator import workflow
from smurfq.workflows.definition import Definition
from smurfq.workflows.functions import (
    bias_dets,
    bias_step,
    forgive,
    iv_curve,
    overbias,
    run_operation,
    say,
    set_biases,
    set_targets,
    shutdown,
    stop_streams,
    take_bgmap,
    take_noise,
    uxm_relock,
    uxm_setup,
    wait,
    zero_biases,
)
from smurfq.workflows.policy import How, Policy
from smurfq.workflows.report import Report, SlotOutcome, SlotReport
from smurfq.workflows.running import Workflow, current
from smurfq.workflows.streams import Streams, stream, streaming
from smurfq.workflows.submitting import StepStatus, WorkflowRun, WorkflowStatus, available, recent, submit

__all__ = [
    "Definition",
    "How",
    "Policy",
    "Report",
    "SlotOutcome",
    "SlotReport",
    "StepStatus",
    "Streams",
    "Workflow",
    "WorkflowRun",
    "WorkflowStatus",
    "available",
    "bias_dets",
    "bias_step",
    "current",
    "forgive",
    "iv_curve",
    "overbias",
    "recent",
    "run_operation",
    "say",
    "set_biases",
    "set_targets",
    "shutdown",
    "stop_streams",
    "stream",
    "streaming",
    "submit",
    "take_bgmap",
    "take_noise",
    "uxm_relock",
    "uxm_setup",
    "wait",
    "workflow",
    "zero_biases",
]
