"""Runs one operation, from its job to its finished record."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from celery.utils import uuid
from celery.utils.log import get_logger

from smurfq.app import SmurfqApp
from smurfq.config import Settings
from smurfq.core import session as events
from smurfq.core.session import Event
from smurfq.errors import OperationError
from smurfq.host.outcome_spool import OutcomeSpool
from smurfq.operation_process.process import Body
from smurfq.pool_child.aftercare import Aftercare
from smurfq.pool_child.context import worker_of
from smurfq.pool_child.control_listener import ControlListener
from smurfq.pool_child.end_request import Ask
from smurfq.pool_child.ending import Ending
from smurfq.pool_child.ending_errors import ended_event, error_of, events_after
from smurfq.pool_child.file_listing import list_files
from smurfq.pool_child.job import Job
from smurfq.pool_child.make_safe_process import run_make_safe
from smurfq.pool_child.old_logs import remove_old_logs
from smurfq.pool_child.output import Output, log_file
from smurfq.pool_child.record_writer import RecordWriter
from smurfq.pool_child.redis_loss import RedisLoss
from smurfq.pool_child.spare_process import SpareProcess
from smurfq.pool_child.supervisor import Supervisor
from smurfq.store import Records, connect, patiently
from smurfq.store.drain import Bridge, DrainAnswer, drain
from smurfq.store.feeds import Feeds

logger = get_logger(__name__)


class Runner:
    """Runs the operations of one pool child, one after another; ``bodies`` are their functions, by name."""

    def __init__(self, app: SmurfqApp, bodies: Mapping[str, Body]) -> None:
        self._app = app
        self._spares = SpareProcess(app, bodies)
        self._ends = OutcomeSpool(app.settings)

    @property
    def _settings(self) -> Settings:
        return self._app.settings

    @cached_property
    def _records(self) -> Records:
        """The records for ``RecordWriter``, which retries by itself."""
        return Records(connect(self._settings.redis_url, retries=0), self._app.records.expires_s)

    def prepare(self) -> None:
        """Have a process ready for the next operation."""
        self._spares.prepare()

    def run(self, job: Job) -> dict[str, Any]:
        """Run an operation, and return its finished session record.

        Raises
        ------
        OperationError
            It failed, died, was aborted or ran past its time limit; the record has the details.
        """
        started, settings = time.time(), self._settings.redis
        writer = RecordWriter(
            job.task_id,
            job.op_name,
            self._records,
            self._app.snapshots,
            Feeds(self._app.store, settings.feed_expires_s, settings.feed_blocks),
            job.on_progress,
        )
        loss = RedisLoss(self._app.fence, self._app.records, job.running, job.record, job.conclude)

        def add(event: Event) -> None:
            loss.heed(event)
            writer.add(event)

        def every_second(ask: Ask) -> None:
            job.every_second(ask)
            loss.look()

        output = Output(job.log, self._log_file(job, started), add, logger.info)
        spare = self._spares.take()
        aftercare = Aftercare(job.op_name, job.task_id, add, lambda params: self.make_safe(job, params))
        abort_grace_s, kill_grace_s = job.graces_s
        supervisor = Supervisor(
            spare,
            output,
            aftercare.add,
            time_limit_s=job.time_limit_s,
            abort_grace_s=abort_grace_s,
            kill_grace_s=kill_grace_s,
            once=job.once,
        )
        listener = ControlListener(
            job.task_id, self._app.control_requests, supervisor.ask, every_second, job.is_process
        )
        try:
            writer.start()
            listener.start()
            job.on_start(spare.pid)
            add(_begun(job, started, output.path))
            with job.driving:
                ending = supervisor.run(job.to_wire(), [output.write_end, *job.locks])
                self._after(job, ending, add, aftercare, writer.last_stage)
                self._ends.keep(
                    job.task_id,
                    writer.unwritten(),
                    ended_event(job, ending, aftercare.text, time.time(), {"complete": False}),
                )
        finally:
            listener.close()
            writer.close()
            supervisor.close()
        if writer.dropped:
            logger.warning("%d pieces of log were not kept live while Redis was away", writer.dropped)
        return self._finish(job, ending, aftercare, loss, started)

    def _log_file(self, job: Job, at: float) -> Path:
        path = log_file(self._settings.log_dir, job.slot, job.op_name, job.task_id, at)
        if not path.parent.exists():  # the first of the day
            remove_old_logs(path.parents[1], at - self._settings.redis.result_expires_s)
        return path

    def _after(
        self, job: Job, ending: Ending, add: Callable[[Event], None], aftercare: Aftercare, last_stage: str | None
    ) -> None:
        """Record how the process ended, and make the card safe.

        Nothing here waits for Redis: a card must not stay unsafe for as long as Redis is away.
        """
        for event in events_after(job, ending, time.time()):
            add(event)
        if job.drives_card:
            if ending.left_behind or ending.has_execed:
                aftercare.suspect(has_execed=ending.has_execed)
            aftercare.run(
                died=ending.died,
                succeeded=error_of(job, ending) is None,
                stage=last_stage,
            )

    def make_safe(self, job: Job, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Run `make_safe` for the card of a job in a new process; its findings (see ``run_make_safe``)."""
        return run_make_safe(job, self._spares.fork, params or {})

    def _finish(
        self, job: Job, ending: Ending, aftercare: Aftercare, loss: RedisLoss, started: float
    ) -> dict[str, Any]:
        """Write the outcome into the record; the record of a success, the error of anything else."""
        if job.drives_card:
            aftercare.note(job.slot, self._app.store)
        error = error_of(job, ending, aftercare.text)
        drained = self._drained(job)
        list_files(self._app.records, self._settings.smurf.timestreams_dir, job, started)
        end = ended_event(job, ending, aftercare.text, time.time(), loss.end(drained, published=job.card))
        writer = f"end-{uuid()}"
        written = patiently(lambda: self._app.records.end(job.task_id, writer, end))
        self._ends.forget(job.task_id)
        if not written and error is None:
            raise OperationError(
                f"{job.op_name} on {job.slot} finished, but had been given up before as lost", slot=job.slot
            )
        if error is not None:
            raise error
        return patiently(lambda: self._app.records.read(job.task_id).to_dict())

    def _drained(self, job: Job) -> DrainAnswer | None:
        """Ask the bridge whether it has written all messages of the operation; None if it does not answer."""
        if not job.card:
            return None
        listens = self._settings.bridge
        bridge = Bridge(self._settings.bridge_name, listens.host, listens.port)
        return patiently(lambda: drain(self._app.store, bridge, job.publisher))


def runner_of(app: SmurfqApp) -> Runner:
    """Return the runner of this pool child."""
    runner: Runner | None = getattr(app, "operation_runner", None)
    if runner is None:
        runner = app.operation_runner = Runner(app, worker_of(app).bodies)
    return runner


def _begun(job: Job, started: float, log: Path | None) -> Event:
    more = {"log_file": str(log)} if log is not None else {}
    return events.header(started, status="running", start_time=started, **more)
