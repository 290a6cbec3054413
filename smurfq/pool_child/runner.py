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
from smurfq.celery_app.site_app import describe_error
from smurfq.config import Settings
from smurfq.core import session as events
from smurfq.core.session import Event
from smurfq.errors import OperationError
from smurfq.host import processes
from smurfq.host.orphans import Ended
from smurfq.host.outcome_spool import OutcomeSpool
from smurfq.operation import process
from smurfq.operation.process import Body, Spare
from smurfq.pool_child.abort import Stage
from smurfq.pool_child.aftercare import MAKE_SAFE, Aftercare
from smurfq.pool_child.control_listener import ControlListener
from smurfq.pool_child.ending_errors import ended_event, error_of
from smurfq.pool_child.job import Job
from smurfq.pool_child.old_logs import remove_old_logs
from smurfq.pool_child.output import Output, log_file
from smurfq.pool_child.record_writer import RecordWriter
from smurfq.pool_child.redis_loss import RedisLoss
from smurfq.pool_child.supervisor import Ending, Supervisor, is_alive
from smurfq.pool_child.written_files import changes, g3_files
from smurfq.store import Batch, Records, connect, patiently
from smurfq.store.drain import DrainAnswer, drain
from smurfq.store.feeds import Feeds

logger = get_logger(__name__)

_MAKE_SAFE_LIMIT_S = 20.0


class Runner:
    """Forks operations; keeps one process ready for the next."""

    def __init__(self, app: SmurfqApp, resolve: Callable[[str], Body]) -> None:
        self._app = app
        self._resolve = resolve
        self._spare: Spare | None = None
        self._ends = OutcomeSpool(app.settings)

    @property
    def _settings(self) -> Settings:
        return self._app.settings

    @cached_property
    def _records(self) -> Records:
        """The records, for a writer that must know whether a write may have been done already."""
        return Records(connect(self._settings.redis_url, retries=0), self._app.records.expires_s)

    def prepare(self) -> None:
        """Have a process ready for the next operation."""
        if self._settings.worker.spare and (self._spare is None or not is_alive(self._spare)):
            self._discard()
            self._spare = self._fork()

    def _fork(self) -> Spare:
        return process.fork(self._resolve, self._settings, self._app.reset_after_fork)

    def _discard(self) -> None:
        if self._spare is not None:
            self._spare.close()
            self._spare = None

    def _take(self) -> Spare:
        spare, self._spare = self._spare, None
        if spare is not None and is_alive(spare):
            return spare
        if spare is not None:
            spare.close()
        return self._fork()

    def run(self, job: Job) -> dict[str, Any]:
        """The session record of the finished operation.

        Raises
        ------
        OperationError
            It failed, died, was aborted or ran past its time limit; the record tells the rest.
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

        def every_second(supervisor: Supervisor) -> None:
            job.every_second(supervisor)
            loss.look()

        output = Output(job.log, self._log_file(job, started), add, logger.info)
        spare = self._take()
        aftercare = Aftercare(job.op_name, job.task_id, add, lambda params: self.make_safe(job, params))
        supervisor = self._supervisor(job, spare, output, aftercare.add)
        listener = ControlListener(job.task_id, self._app.control_requests, supervisor, every_second, job.is_process)
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

    def _supervisor(self, job: Job, spare: Spare, output: Output, add: Callable[[Event], None]) -> Supervisor:
        abort_grace_s, kill_grace_s = job.graces_s
        return Supervisor(
            spare,
            output,
            add,
            time_limit_s=job.time_limit_s,
            abort_grace_s=abort_grace_s,
            kill_grace_s=kill_grace_s,
            once=job.once,
        )

    def _log_file(self, job: Job, at: float) -> Path:
        path = log_file(self._settings.log_dir, job.slot, job.op_name, job.task_id, at)
        if not path.parent.exists():  # the first of the day
            remove_old_logs(path.parents[1], at - self._settings.redis.result_expires_s)
        return path

    def _after(
        self, job: Job, ending: Ending, add: Callable[[Event], None], aftercare: Aftercare, last_stage: str | None
    ) -> None:
        """Record what was left behind, and make the card safe.

        Nothing here waits for Redis: a card must not stay as it was left for as long as that is away.
        """
        if ending.left_behind:
            add(events.message(Ended(ending.left_behind).describe(job.op_name), time.time()))
        if ending.result is None and ending.plan is None:  # recorded before the card is made safe, which takes time
            error = error_of(job, ending)
            add(events.header(time.time(), degraded=True, error=describe_error(error) if error else None))
            add(events.message(str(error), time.time()))
        if job.drives_card:
            if ending.left_behind or ending.has_execed:
                aftercare.suspect(has_execed=ending.has_execed)
            aftercare.run(
                died=ending.stage is Stage.KILLED or ending.result is None,
                succeeded=error_of(job, ending) is None,
                stage=last_stage,
            )

    def make_safe(self, job: Job, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What a new process found on the card and did to leave it safe; ``params`` are those of `make_safe`."""
        found: dict[str, Any] = {}

        def collect(event: Event) -> None:
            found.update(event.get("set", {}) if event["k"] == "data" else {})

        quiet = Output(False, Path(), collect, logger.info)
        safe_job = Job(
            task_id=job.task_id,
            op_name=MAKE_SAFE,
            slot=job.slot,
            publisher=job.publisher,
            params=params or {},
            environment=job.environment,
            running=job.running,
            record=job.record,
            graces_s=(1.0, 1.0),
            time_limit_s=_MAKE_SAFE_LIMIT_S,
        )
        supervisor = self._supervisor(safe_job, self._fork(), quiet, collect)
        try:
            ending = supervisor.run(safe_job.to_wire(), [quiet.write_end, *job.locks])
        finally:
            supervisor.close()
        if ending.result is None or not ending.result["ok"]:
            found["error"] = (ending.result or {}).get("message") or processes.exit_words(ending.exit_code, ending.oom)
        return found

    def _finish(
        self, job: Job, ending: Ending, aftercare: Aftercare, loss: RedisLoss, started: float
    ) -> dict[str, Any]:
        aftercare.note(job.slot, self._app.store)
        error = error_of(job, ending, aftercare.text)
        drained = self._drained(job)
        self._find_files(job, started)
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

    def _find_files(self, job: Job, started: float) -> None:
        """Have the record list the operation's files as they are on this host."""
        if not job.card:
            return
        now = time.time()
        registered = [
            file["path"] for file in patiently(lambda: self._app.records.files(job.task_id)) if "path" in file
        ]
        found: list[Event] = []
        try:
            found += [events.file_found(path, change, now) for path, change in changes(registered)]
            if job.drives_card:
                streamed = map(str, g3_files(self._settings.smurf.timestreams_dir, job.slot, started, now))
                new = [path for path in streamed if path not in registered]
                found += [events.file_registered({"path": path, "kind": "g3_file"}, now) for path in new]
        except OSError as cause:
            logger.warning("the files of %s[%s] could not be looked for: %s", job.op_name, job.task_id, cause)
        if found:
            batch = Batch(job.task_id, f"files-{uuid()}", 0, found)
            patiently(lambda: self._app.records.append(batch))

    def _drained(self, job: Job) -> DrainAnswer | None:
        """What the bridge says of all that the operation published; None if it does not answer."""
        if not job.card:
            return None
        return patiently(lambda: drain(self._app.store, self._bridge_address(), job.publisher))

    def _bridge_address(self) -> tuple[str, int]:
        return self._settings.bridge.host, self._settings.bridge.port


def _begun(job: Job, started: float, log: Path | None) -> Event:
    more = {"log_file": str(log)} if log is not None else {}
    return events.header(started, status="running", start_time=started, **more)
