"""Runs the operation `make_safe` in a process of its own, before or after a run, without a record of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from celery.utils.log import get_logger

from smurfq.core.card_after import MAKE_SAFE
from smurfq.core.session import Event
from smurfq.host import processes
from smurfq.operation_process.process import Spare
from smurfq.pool_child.job import Job
from smurfq.pool_child.output import Output
from smurfq.pool_child.supervisor import Supervisor

logger = get_logger(__name__)

_GRACE_S = 1.0
_TIME_LIMIT_S = 20.0


def run_make_safe(job: Job, fork: Callable[[], Spare], params: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a new process, from ``fork``, has found on the card of ``job`` and done to leave the card safe.

    ``text`` is always among it. If the process failed or could not be started, the item ``error`` says why.
    """
    try:
        return _run(job, fork(), params)
    except OSError as cause:  # the host has no memory, process or descriptor left
        return _failed(f"its process could not be started: {cause}")


def _run(job: Job, spare: Spare, params: Mapping[str, Any]) -> dict[str, Any]:
    findings: dict[str, Any] = {}

    def collect(event: Event) -> None:
        findings.update(event.get("set", {}) if event["k"] == "data" else {})

    output = Output(False, Path(), collect, logger.info)
    supervisor = Supervisor(
        spare, output, collect, time_limit_s=_TIME_LIMIT_S, abort_grace_s=_GRACE_S, kill_grace_s=_GRACE_S
    )
    safe_job = Job(
        task_id=job.task_id,
        op_name=MAKE_SAFE,
        slot=job.slot,
        publisher=job.publisher,
        params=params,
        environment=job.environment,
        running=job.running,
        record=job.record,
    )
    try:
        ending = supervisor.run(safe_job.to_wire(), [output.write_end, *job.locks])
    finally:
        supervisor.close()
    result = ending.result or {}
    if result.get("ok"):
        return findings
    return {**_failed(result.get("message") or processes.exit_words(ending.exit_code, ending.oom)), **findings}


def _failed(why: str) -> dict[str, Any]:
    return {"error": why, "text": f"unknown, because {MAKE_SAFE} failed: {why}"}
