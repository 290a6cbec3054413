"""The policy for a kind of run: its environment, its limits, and making its card safe before it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from smurfq import operations, smurf_control
from smurfq.app import SmurfqApp
from smurfq.config import Settings
from smurfq.errors import ConfigError
from smurfq.operation_process.environment import environment
from smurfq.pool_child.card_before import make_safe_first
from smurfq.pool_child.claimed_run import ClaimedRun
from smurfq.pool_child.job import Job
from smurfq.pool_child.runner import runner_of
from smurfq.store import patiently


class RunPolicy:
    """The policy for an operation of a slot."""

    card = True  # whether it has a card, whose publisher's messages come through the bridge

    def slot_of(self, settings: Settings, kwargs: Mapping[str, Any]) -> str:
        """Return the slot that a message is for."""
        return settings.check_slot(kwargs.get("slot"))

    def environment(self, run: ClaimedRun) -> dict[str, str]:
        """Return the environment variables to set in the operation's process."""
        return environment(run.app.settings, run.worker.slot, run.worker.lane, os.environ)

    def graces_s(self, settings: Settings) -> tuple[float, float]:
        """Return the seconds from an abort to the signal, and from there to the kill."""
        return settings.limits.abort_grace_s, settings.limits.kill_grace_s

    def shutdown_grace_s(self, settings: Settings) -> float:
        """Return the seconds that a run has to end by itself when its worker is stopped."""
        return settings.limits.shutdown_grace_s

    def time_limit_s(self, run: ClaimedRun) -> float | None:
        """Return the shortest of the settings' and the request's time limits."""
        default = operations.time_limit_for(run.operation.name, run.params)
        if default is None and not run.operation.process:
            default = run.app.settings.limits.operation_s
        return self._shortest_limit_s(run, default)

    def _shortest_limit_s(self, run: ClaimedRun, default: float | None) -> float | None:
        asked = [limit for limit in (run.request.timelimit or ()) if limit]
        limits = [run.app.settings.time_limit_s(run.operation.name, default), *asked]
        return min((limit for limit in limits if limit is not None), default=None)

    def before_run(self, run: ClaimedRun, job: Job) -> Job:
        """Make an unsafe card safe, and warn of edited libraries; return the job as it may be run.

        The slot's device configuration is copied, so that it can be restored if the run leaves it half-written.
        """
        job = self._make_safe_first(run, job)
        self._keep_copy(run, job)
        self._warn_of_edits(run)
        return job

    def _make_safe_first(self, run: ClaimedRun, job: Job) -> Job:
        died = patiently(lambda: run.app.fence.take_needs_make_safe(job.publisher))
        if not job.drives_card:
            return job
        runner = runner_of(run.app)
        job, text = make_safe_first(job, died or run.orphans, run.app.store, lambda of: runner.make_safe(job, of))
        if text:
            run.note("make-safe", text)
        return job

    def _keep_copy(self, run: ClaimedRun, job: Job) -> None:
        if not job.drives_card:
            return
        try:
            smurf_control.keep_copy(run.app.settings, job.slot, {**os.environ, **job.environment})
        except (FileNotFoundError, ConfigError, ImportError):  # an operation that needs the file names what is missing
            return
        except OSError as error:
            run.note("copy", f"WARNING: the slot's device configuration could not be copied before the run: {error}")

    def _warn_of_edits(self, run: ClaimedRun) -> None:
        """Warn if somebody has edited pysmurf or sodetlib since this worker loaded them."""
        loaded = run.worker.loaded
        edited = smurf_control.edited_since(loaded) if loaded is not None else []
        if edited:
            files = ", ".join(edited[:3]) + (", …" if len(edited) > 3 else "")
            run.note(
                "edits",
                f"WARNING: changed since this worker loaded it, and not in use: {files}; restart the worker to use it",
            )

    def after_run(self, app: SmurfqApp, task_id: str) -> None:
        """End the runs that this run has started; an operation of a slot starts none."""
