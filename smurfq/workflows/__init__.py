"""Observing workflows over one slot, some or all: what a schedule is written with.

>>> from smurfq.workflows import bias_step, iv_curve, streaming, wait, workflow
>>> @workflow  # doctest: +SKIP
... def observe(duration_s: float = 600.0) -> None:
...     iv_curve(tag="night")
...     with streaming(tag="cmb") as streams:
...         streams.wait(duration_s)
...     bias_step()

``smurfq workflow submit observe.py`` runs it on the workers' side. Needs no pysmurf.

``functions`` are the steps that observers know, ``streams`` keeps streams on and always ends them; ``running`` is
what holds steps together (slots, drop list, policy), ``step`` one of them, ``policy``, ``verdict`` and ``report`` their
rules and results. ``context`` is what a step knows of its workflow, ``sending`` and ``leash_renewal`` are its way to
the slots, ``host`` and ``terminating`` where it all runs. ``decorator``, ``definition``, ``parameter_types`` and
``catalogue`` say which workflows there are; ``submitting`` runs one on the workers' side, where ``body`` is what its
process does.
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
