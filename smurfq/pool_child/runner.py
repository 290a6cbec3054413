"""Runs one operation from its job to its finished record; lives in a worker's pool child, which forks and watches."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from celery.utils import uuid
from celery.utils.log import get_logger

from smurfq.app import SmurfqApp
from smurfq.celery_app.site_app import describe_error
from smurfq.config import Settings
from smurfq.core import session as events
from smurfq.core.session import Event, Outcome, SessionHeader
from smurfq.core.slot import publisher_id
from smurfq.errors import (
    OperationAbortedError,
    OperationDiedError,
    OperationError,
    OperationFailedError,
    OperationTimeLimitError,
    OtherSlotError,
)
from smurfq.host import processes
from smurfq.host.outcome_spool import OutcomeSpool
from smurfq.operation import process
from smurfq.operation.process import Body, Spare
from smurfq.pool_child.abort import Stage, Why
from smurfq.pool_child.aftercare import MAKE_SAFE, Aftercare
from smurfq.pool_child.control_listener import ControlListener
from smurfq.pool_child.old_logs import remove_old_logs
from smurfq.pool_child.output import Output, log_file
from smurfq.pool_child.record_writer import RecordWriter
from smurfq.pool_child.redis_loss import RedisLoss
from smurfq.pool_child.supervisor import Ending, Supervisor, is_alive
from smurfq.pool_child.written_files import changes, g3_files
from smurfq.store import Batch, Records, connect, patiently
from smurfq.store.drain import DrainAnswer, drain
from smurfq.store.feeds import Feeds
from smurfq.store.fence import Running

logger = get_logger(__name__)

_MAKE_SAFE_LIMIT_S = 20.0
_KINDS = {kind.__name__: kind for kind in (OperationFailedError, OtherSlotError)}


@dataclass(frozen=True)
class Job:
    """An operation to be run: its parameters are checked, its claim and lock are taken."""

    task_id: str
    op_name: str
    slot: str
    publisher: str
    params: Mapping[str, Any]
    environment: Mapping[str, str]
    running: Running  # the note of it in Redis
    record: SessionHeader  # the header of its record as it was claimed
    locks: tuple[int, ...] = ()
    log: bool | str = True
    time_limit_s: float | None = None
    is_process: bool = False  # ends in good order at "stop"
    card: bool = True  # it has a card: its publisher's messages come by the bridge
    graces_s: tuple[float, float] = (10.0, 10.0)  # from an abort to the signal, from there to the kill
    on_start: Callable[[int], None] = field(default=lambda pid: None)
    on_progress: Callable[[str], None] = field(default=lambda text: None)
    every_second: Callable[[Supervisor], None] = field(default=lambda supervisor: None)
    once: Mapping[int, Callable[[Supervisor], None]] = field(default_factory=dict)  # see ``Supervisor``
    conclude: Callable[[Running], object] = field(default=lambda running: None)  # see ``RedisLoss``

    @property
    def drives_card(self) -> bool:
        """Whether it may leave the card unsafe; what runs in the state lane only reads."""
        return self.card and self.publisher == publisher_id(self.slot, "control")


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
        scribe = RecordWriter(
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
            scribe.add(event)

        def every_second(supervisor: Supervisor) -> None:
            job.every_second(supervisor)
            loss.look()

        output = Output(job.log, self._log_file(job, started), add, logger.info)
        spare = self._take()
        aftercare = Aftercare(job.op_name, job.task_id, add, lambda params: self.make_safe(job, params))
        supervisor = self._supervisor(job, spare, output, aftercare.add)
        listener = ControlListener(job.task_id, self._app.verbs, supervisor, every_second, job.is_process)
        try:
            scribe.start()
            listener.start()
            job.on_start(spare.pid)
            add(_begun(job, started, output.path))
            ending = supervisor.run(_wire_job(job), [output.write_end, *job.locks])
            self._after(job, ending, add, aftercare, scribe.last_stage)
            self._ends.keep(job.task_id, scribe.unwritten(), _end(job, ending, aftercare.text, {"complete": False}))
        finally:
            listener.close()
            scribe.close()
            supervisor.close()
        if scribe.dropped:
            logger.warning("%d pieces of log were not kept live while Redis was away", scribe.dropped)
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
            text = f"ended processes that {job.op_name} had left behind: {', '.join(ending.left_behind)}"
            add(events.message(text, time.time()))
        if ending.result is None and ending.plan is None:  # recorded before the card is made safe, which takes time
            error = _error(job, ending)
            add(events.header(time.time(), degraded=True, error=describe_error(error) if error else None))
            add(events.message(str(error), time.time()))
        if job.drives_card:
            if ending.left_behind or ending.has_execed:
                aftercare.suspect(has_execed=ending.has_execed)
            aftercare.run(
                died=ending.stage is Stage.KILLED or ending.result is None,
                succeeded=_error(job, ending) is None,
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
            ending = supervisor.run(_wire_job(safe_job), [quiet.write_end, *job.locks])
        finally:
            supervisor.close()
        if ending.result is None or not ending.result["ok"]:
            found["error"] = (ending.result or {}).get("message") or processes.exit_words(ending.exit_code, ending.oom)
        return found

    def _finish(
        self, job: Job, ending: Ending, aftercare: Aftercare, loss: RedisLoss, started: float
    ) -> dict[str, Any]:
        aftercare.note(job.slot, self._app.store)
        error = _error(job, ending, aftercare.text)
        drained = self._drained(job)
        self._find_files(job, started)
        end = _end(job, ending, aftercare.text, loss.end(drained, published=job.card))
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


def _wire_job(job: Job) -> dict[str, Any]:
    return {
        "session_id": job.task_id,
        "op_name": job.op_name,
        "slot": job.slot,
        "publisher": job.publisher,
        "params": dict(job.params),
        "environment": dict(job.environment),
    }


def _begun(job: Job, started: float, log: Path | None) -> Event:
    more = {"log_file": str(log)} if log is not None else {}
    return events.header(started, status="running", start_time=started, **more)


def _end(job: Job, ending: Ending, card: str, more: Mapping[str, Any]) -> Event:
    error = _error(job, ending, card)
    outcome = Outcome.SUCCEEDED
    if error is not None:
        outcome = Outcome.ABORTED if isinstance(error, OperationAbortedError) else Outcome.FAILED
    described = describe_error(error) if error is not None else None
    return events.ended(time.time(), outcome, described, **more)


def _error(job: Job, ending: Ending, card: str = "") -> OperationError | None:
    """Why the operation did not succeed, and what was found on its ``card`` then; None if it succeeded."""
    error = _cause(job, ending)
    if error is None or not card:
        return error
    return type(error)(f"{error}; the card: {card}", error.fields)


def _cause(job: Job, ending: Ending) -> OperationError | None:
    what = f"{job.op_name} on {job.slot}"
    fields: dict[str, Any] = {"operation": job.op_name, "slot": job.slot, "session_id": job.task_id}
    result = ending.result
    if ending.plan is not None:
        fields["stage"] = ending.stage.name.lower()
        if ending.plan.why is Why.TIME_LIMIT:
            return OperationTimeLimitError(f"{what} was ended: {ending.plan.reason}", fields)
        how = {
            Stage.ASKED: "it ended at its next safe point",
            Stage.SIGNALLED: "it was interrupted",
            Stage.KILLED: "it had to be killed",
        }[ending.stage]
        if result is not None and result["ok"]:
            how = "it had just done its work"
        elif result is not None and result["type"] != "AbortSignal" and result["aborted"]:
            how = "it ended at its next safe point"
        reason = f"{what} was aborted by {ending.plan.by} ({ending.plan.reason}); {how}"
        return OperationAbortedError(reason, {**fields, "by": ending.plan.by})
    if result is None:
        words = processes.exit_words(ending.exit_code, ending.oom)
        if ending.malformed is not None:
            words = f"was killed because it sent a malformed frame on its session socket ({ending.malformed})"
        return OperationDiedError(
            f"{what}: its process {words}; its output is in the record's log",
            {**fields, "exit_code": ending.exit_code, "out_of_memory": ending.oom},
        )
    if result["ok"]:
        return None
    if result["aborted"]:  # by sodetlib's stop_point at a stop
        return OperationAbortedError(f"{what} ended at a safe point: a stop was asked for", fields)
    inner = {k: v for k, v in result["fields"].items() if k not in fields}
    kind = _KINDS.get(result["type"])
    text = result["message"] if kind else f"{result['type']}: {result['message']}"
    return (kind or OperationFailedError)(
        f"{what} failed: {text}", {**fields, **inner, "raised": result["type"], "traceback": result["traceback"]}
    )
