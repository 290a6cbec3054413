"""Observing workflows over one slot, some or all: what a schedule is written with.

>>> from smurfq.workflows import bias_step, iv_curve, streaming, wait, workflow
>>> @workflow  # doctest: +SKIP
... def observe(duration_s: float = 600.0) -> None:
...     iv_curve(tag="night")
...     with streaming(tag="cmb") as streams:
...         streams.wait(duration_s)
...     bias_step()

``smurfq workflow submit observe.py`` runs it on the workers' side. Needs no pysmurf.

``functions`` are the steps that observers know, ``streams`` keeps streams on and always ends them, ``workflow``
is what holds steps together (slots, drop list, policy), ``policy`` and ``report`` are its rules and results,
``joining`` and ``sending`` its way to the slots. ``marked``, ``definition`` and ``catalogue`` say which workflows
there are; ``submitting`` runs one on the workers' side, where ``body`` is what its process does.
"""

from __future__ import annotations

from smurfq.workflows.definition import Definition
from smurfq.workflows.marked import workflow
from smurfq.workflows.policy import How, Policy
from smurfq.workflows.report import Report, SlotOutcome, SlotReport
from smurfq.workflows.submitting import StepStatus, WorkflowRun, WorkflowStatus, available, recent, submit

__all__ = [
    "Definition",
    "How",
    "Policy",
    "Report",
    "SlotOutcome",
    "SlotReport",
    "StepStatus",
    "WorkflowRun",
    "WorkflowStatus",
    "available",
    "recent",
    "submit",
    "workflow",
]
