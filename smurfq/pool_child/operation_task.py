"""The Celery task of an operation: it checks, claims, locks, runs and releases.

A family's module declares its operations with ``@operation``; the function beneath it runs in the operation's own
process, never in the worker.
"""

from __future__ import annotations

import functools
import inspect
import os
import socket
import time
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from celery import Task
from celery.exceptions import Ignore
from celery.utils.log import get_logger
from kombu.exceptions import OperationalError

from smurfq import smurf_control
from smurfq.app import SmurfqApp, app
from smurfq.core import identity, operations
from smurfq.core import session as events
from smurfq.core.message_headers import OWNER
from smurfq.core.previous_steps import previous_steps
from smurfq.core.process_id import ProcessId
from smurfq.core.scripts import check_arguments, check_log, check_script
from smurfq.core.session import Outcome, SessionHeader, SessionRecord
from smurfq.core.slot import queue_name
from smurfq.errors import (
    OperationAbortedError,
    OperationFailedError,
    OperationLostError,
    ParameterError,
    SlotBusyError,
    SmurfqError,
)
from smurfq.host import lock
from smurfq.host.disk_space import room
from smurfq.host.orphans import end_orphans_of_card
from smurfq.operation.environment import environment
from smurfq.operation.process import Body
from smurfq.operation.session import Session
from smurfq.pool_child.aftercare import make_safe_again
from smurfq.pool_child.context import WorkerContext, worker_of
from smurfq.pool_child.job import Job
from smurfq.pool_child.leash import Leash
from smurfq.pool_child.runner import Runner
from smurfq.pool_child.supervisor import Supervisor
from smurfq.reaper import Reaper
from smurfq.store import Batch, patiently
from smurfq.store.connection import AWAY
from smurfq.store.fence import Claim, Running
from smurfq.store.leashes import HEADER, Leashes
from smurfq.store.snapshot import meta_text

logger = get_logger(__name__)

_NOT_DELAYED = ("all_off", "restart_rssi")  # they are for a card that does not answer, and must not wait for it
BODIES: dict[str, Body] = {}
T = TypeVar("T", bound="OperationTask")


def resolve(name: str) -> Body:
    """The function that an operation's process runs; it can open no slot but the operation's."""
    body = BODIES[name]

    def on_own_slot(session: Session, **params: Any) -> None:
        smurf_control.limit_to_slot(session.slot)
        body(session, **params)

    return on_own_slot


def operation(body: Body) -> OperationTask:
    """The Celery task ``smurfq.<name>`` of the operation whose function is ``body``.

    The function's name stands in the operations table, and its parameters are those of the table.
    """
    BODIES[body.__name__] = body
    return operation_task(body, OperationTask)


def operation_task(body: Body, base: type[T]) -> T:
    """The Celery task, of the class ``base``, that is named and documented as ``body`` is."""
    name = body.__name__
    task: T = app.task(
        bind=True,
        base=base,
        name=operations.task_name(name),
        typing=False,  # the operations table checks parameters, and says what is wrong with them
    )(_named(name, body))
    return task


def _named(name: str, body: Body) -> Callable[..., Any]:
    def run(task: OperationTask, previous: Any = None, /, **_params: Any) -> dict[str, Any]:
        return task.perform()

    run.__name__ = run.__qualname__ = name
    run.__module__ = body.__module__
    run.__doc__ = inspect.getdoc(body)
    return run


class OperationTask(Task):  # type: ignore[misc]
    """A task that is an operation of a slot."""

    abstract = True
    Request = "smurfq.worker.request:SlotRequest"
    throws = (SmurfqError,)  # Celery logs these in a line; the record has the operation's own traceback
    resultrepr_maxsize = 200  # of the record in the worker's log and in events
    card = True  # it drives one
    app: SmurfqApp
    _running: Running | None = None
    _record: SessionHeader | None = None  # the header of what runs, as it was claimed
    _lock: int | None = None
    _orphans: str | None = None  # what was ended before it, in words
    _params: dict[str, Any] | None = None

    def signature(self, args: Any = None, *starargs: Any, **starkwargs: Any) -> Any:
        """A signature of the operation; what is known of its parameters by now is checked at once.

        Raises
        ------
        RequestError
            A parameter is unknown or ill-typed, or the slot is.
        """
        kwargs = starkwargs.get("kwargs") or (starargs[0] if starargs else None) or {}
        params = {name: value for name, value in kwargs.items() if name != "slot"}
        operations.check(self.name, params, partial=True)
        if "slot" in kwargs:
            self.app.settings.check_slot(kwargs["slot"])
        return super().signature(args, *starargs, **starkwargs)

    def s(self, *args: Any, **kwargs: Any) -> Any:
        """``.signature(args, kwargs)``; see ``signature``."""
        return self.signature(args, kwargs)

    def si(self, *args: Any, **kwargs: Any) -> Any:
        """``.signature(args, kwargs, immutable=True)``; see ``signature``."""
        return self.signature(args, kwargs, immutable=True)

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        """Check, claim and lock: after this the task runs, here and nowhere else.

        Raises
        ------
        Ignore
            It has ended already, or runs elsewhere: a copy of its message came here.
        SmurfqError
            It may not run; the record says why.
        """
        worker = worker_of(self.app)
        operation = operations.operation(self.name)
        slot = self._slot_of(kwargs)
        if slot != worker.slot:
            self._refuse_slot(worker, slot, task_id)
        self._params = {name: value for name, value in kwargs.items() if name != "slot"}
        self._claim(worker, operation.name, task_id)  # before all checks: a copy must not touch the first one's end
        previous_steps(operation.name, args)
        self._params = operations.check(operation.name, self._params)
        if "script" in self._params:
            check_script(self._params["script"], self.app.settings.scripts.folders)
            check_log(self._params["log"], self.app.settings.log_folders)
            check_arguments(self._params["args"], slot)
        if (leash := self._leash()) is not None:
            leash.require(f"{operation.name} on {slot}")
        self._take_card(worker, task_id)

    def _refuse_slot(self, worker: WorkerContext, slot: str, task_id: str) -> NoReturn:
        """End a message that came through the queue of another slot; one with a record has its own in the right one."""
        if patiently(lambda: self.app.records.exists(task_id)):
            logger.warning("a copy of %s[%s] for %s came to %s: passed over", self.name, task_id, slot, worker.queue)
            raise Ignore
        raise ParameterError(
            f"{self.name} for {slot} came through the queue of {worker.slot}; smurfq itself would have routed it",
            slot=slot,
        )

    def _take_card(self, worker: WorkerContext, task_id: str) -> None:
        """Lock the card, and note on this host that this try of the task begins.

        Raises
        ------
        SlotBusyError
            Something that an operation left behind holds it, or drives it and cannot be ended.
        OperationLostError
            It was begun before, whatever Redis has forgotten.
        OperationFailedError
            The state folder cannot be written to.
        """
        if self._lock is not None:  # of an operation that ended, but whose task Celery could not bring to its end
            os.close(self._lock)
            self._lock = None
        try:
            self._lock = lock.acquire(worker.lock, self.app.settings.worker.lock_wait_s)
            self._end_orphans(worker, task_id)
            first = self._note_begin(worker, task_id)
        except SmurfqError:
            raise
        except OSError as cause:
            raise OperationFailedError(
                f"{self.name} on {worker.slot}: cannot write to {room(self.app.settings.state_dir.absolute())}: "
                f"{cause.strerror}; nothing was run. Make room there, or give it to the worker's user",
                slot=worker.slot,
                session_id=task_id,
            ) from cause
        if not first:
            raise OperationLostError(
                f"{self.name} on {worker.slot} is lost: it was started before, but Redis has forgotten that (was it "
                "killed or replaced?). It is not run again; the log file of its first run says what it did",
                slot=worker.slot,
                session_id=task_id,
            )

    def _end_orphans(self, worker: WorkerContext, task_id: str) -> None:
        """End what earlier operations of the card left behind, whether or not Redis knows that their worker died."""
        found = end_orphans_of_card(worker.lock)
        self._orphans = found.describe(f"an earlier operation of {worker.publisher}") if found else None
        if self._orphans:
            self._note(task_id, "orphans", self._orphans)
        if found.remaining:
            raise SlotBusyError(
                f"{self.name} on {worker.slot}: {self._orphans}; nothing was run. End them, then submit it again",
                slot=worker.slot,
                session_id=task_id,
            )

    def _note_begin(self, worker: WorkerContext, task_id: str) -> bool:
        """Whether this try of the task was not begun before on this host; an emergency is not kept by a full disk."""
        try:
            return worker.begun.note(task_id, self.request.retries)
        except OSError as cause:
            if (self.request.delivery_info or {}).get("routing_key") != queue_name(worker.slot, "emergency"):
                raise
            logger.error("%s[%s] is run although that cannot be noted: %s", self.name, task_id, cause)
            return True

    def _slot_of(self, kwargs: Any) -> str:
        """The slot that a message is for."""
        return self.app.settings.check_slot(kwargs.get("slot"))

    def _environment(self, worker: WorkerContext) -> dict[str, str]:
        """The variables that the operation's process is to have."""
        return environment(self.app.settings, worker.slot, worker.lane, os.environ)

    def _owner(self) -> dict[str, str]:
        """In whose name the operation's process submits what it submits: in that of who submitted it."""
        owner = getattr(self.request, OWNER, None)
        return {identity.VARIABLE: str(owner)} if owner else {}

    def _graces_s(self) -> tuple[float, float]:
        """From an abort to the signal, and from there to the kill, in seconds."""
        limits = self.app.settings.limits
        return limits.abort_grace_s, limits.kill_grace_s

    def _shutdown_grace_s(self) -> float:
        """Its time to end by itself when its worker is stopped, in seconds."""
        return self.app.settings.limits.shutdown_grace_s

    def _leash(self) -> Leash | None:
        """The leash that the operation is on, if a workflow started it."""
        leash_id = getattr(self.request, HEADER, None)
        return Leash(str(leash_id), Leashes(self.app.store)) if leash_id else None

    def _claim(self, worker: WorkerContext, op_name: str, task_id: str) -> None:
        request = _request_of(self)
        running = Running(
            task_id=task_id,
            op_name=op_name,
            slot=worker.slot,
            publisher=worker.publisher,
            host=socket.gethostname(),
            lease=worker.token,
            started=time.time(),
            request=request,
            processes=_identities(os.getpid()),
        )
        who = f"{self.request.hostname} pid {os.getpid()}"
        record = SessionRecord(
            session_id=task_id,
            op_name=op_name,
            slot=worker.slot,
            params=self._params or {},
            status="starting",
            simulated=self.app.settings.simulated,
            worker={"node": self.request.hostname, "host": running.host, "pid": os.getpid()},
            parent_id=self.request.parent_id,
            root_id=self.request.root_id,
        )
        started = meta_text(task_id, "STARTED", record.to_dict(), request)

        def claim() -> Claim:
            return self.app.fence.claim(running, self.name, self.request.retries, who, started)

        answer = patiently(claim)
        if answer.answer == "busy":  # the lease is ours, so what it names is over
            patiently(lambda: Reaper(self.app).reap(worker.publisher, by=worker.token))
            answer = patiently(claim)
        if answer.answer == "claimed" and answer.detail == who:
            pass  # our own claim: the answer to it was lost with the connection
        elif not answer.ok:
            if answer.answer == "final":
                self._end_unbegun(task_id, answer.detail)
            what = "left to the worker that took over" if answer.answer == "unleased" else "a copy, passed over"
            logger.warning("%s[%s]: %s: %s %s", self.name, task_id, what, answer.answer, answer.detail)
            raise Ignore  # one that nobody has claimed is sent again by the reaper
        self._running = running
        patiently(lambda: self.app.records.start(record))
        self._record = patiently(lambda: self.app.records.known_headers([task_id])).get(task_id, record)

    def _end_unbegun(self, task_id: str, state: str) -> None:
        """Have the record say so too, where Celery gave a task its end before it began.

        Celery fails the body of a chord with a member of it; it may have been sent before.
        """
        known = patiently(lambda: self.app.records.known_headers([task_id])).get(task_id)
        if known is None or known.status != "queued" or state == "SUCCESS":
            return
        error = patiently(lambda: self.app.backend.get_result(task_id))
        outcome = Outcome.ABORTED if state == "REVOKED" else Outcome.FAILED
        cause = error if isinstance(error, BaseException) else None
        patiently(lambda: self.app.write_end(task_id, outcome, cause))

    def perform(self) -> dict[str, Any]:
        """The record of the finished operation; see ``Runner.run``."""
        running, record, settings = self._running, self._record, self.app.settings
        assert running is not None and record is not None and self._params is not None and self._lock is not None
        worker = worker_of(self.app)
        table = operations.operation(self.name)
        emergency = worker.lane == "control"
        leash, close_s = self._leash(), settings.limits.close_stream_s

        def on_start(pid: int) -> None:
            running.processes.extend(_identities(pid))
            patiently(lambda: self.app.fence.note_processes(running))

        def every_second(supervisor: Supervisor) -> None:
            worker.keep_lease(supervisor)
            if emergency:
                self._look_for_emergency(supervisor)
            if leash is not None:
                leash.heed(supervisor, is_process=table.process, close_within_s=close_s)

        def worker_stops(supervisor: Supervisor) -> None:
            reason = "the worker is being stopped"
            if table.process:
                supervisor.ask_stop(by="smurfq", reason=reason)
            supervisor.ask_abort(by="smurfq", reason=reason, delay_s=self._shutdown_grace_s())

        job = Job(
            task_id=running.task_id,
            op_name=table.name,
            slot=worker.slot,
            publisher=worker.publisher,
            params=self._params,
            environment={**self._environment(worker), **self._owner()},
            running=running,
            record=record,
            locks=(self._lock,),
            log=self._params.get("log", True),
            time_limit_s=self._time_limit_s(table),
            is_process=table.process,
            graces_s=self._graces_s(),
            card=self.card,
            on_start=on_start,
            on_progress=functools.partial(self._show_progress, running, self.request.hostname),
            every_second=every_second,
            once={worker.stop_fd: worker_stops},
            driving=worker.driving(),
            conclude=Reaper(self.app).conclude_forgotten,
        )
        self._make_safe_first(job)
        self._warn_of_edits(job)
        return runner_of(self.app).run(job)

    def _time_limit_s(self, table: operations.Operation) -> float | None:
        settings = self.app.settings
        asked = [limit for limit in (self.request.timelimit or ()) if limit]
        default = operations.time_limit_for(table.name, self._params or {})
        if default is None and not table.process:
            default = settings.limits.operation_s
        limits = [limit for limit in (settings.time_limit_s(table.name, default), *asked) if limit is not None]
        return min(limits) if limits else None

    def _make_safe_first(self, job: Job) -> None:
        """Leave the card safe after a worker that died in the middle of an operation, or after orphans of one."""
        unsafe = patiently(lambda: self.app.fence.take_needs_make_safe(job.publisher))
        if not job.drives_card:
            return
        reason = unsafe or (self._orphans if self.card else None)
        if reason:
            findings = runner_of(self.app).make_safe(job)
            text = f"{reason}; the card: {findings.get('text') or findings}"
            self._note(job.task_id, "make-safe", f"the card was left unsafe: {text}")
        elif job.op_name not in _NOT_DELAYED:
            runner = runner_of(self.app)
            text = patiently(lambda: make_safe_again(job.slot, self.app.store, lambda of: runner.make_safe(job, of)))
            if text:
                self._note(job.task_id, "make-safe-again", text)

    def _warn_of_edits(self, job: Job) -> None:
        """Say so, where somebody has edited pysmurf or sodetlib since this worker loaded them."""
        loaded = worker_of(self.app).loaded
        edited = smurf_control.edited_since(loaded) if loaded is not None else []
        if edited:
            files = ", ".join(edited[:3]) + (", …" if len(edited) > 3 else "")
            text = (
                f"WARNING: changed since this worker loaded it, and not in use: {files}; restart the worker to use it"
            )
            self._note(job.task_id, "edits", text)

    def _note(self, task_id: str, writer: str, text: str) -> None:
        """Log a line, and add it to the record as a message."""
        logger.warning("%s[%s]: %s", self.name, task_id, text)
        batch = Batch(task_id, writer, 0, [events.message(text, time.time())])
        patiently(lambda: self.app.records.append(batch))

    def _look_for_emergency(self, supervisor: Supervisor) -> None:
        slot = worker_of(self.app).slot
        ids = [waiting.task_id for waiting in self.app.waiting.waiting_in(queue_name(slot, "emergency"))]
        # Nothing may end for junk, or for a copy of what has run: what was submitted is written down.
        known = self.app.records.known_headers(ids).values() if ids else ()
        if any(record.status == "queued" and record.slot == slot for record in known):
            supervisor.ask_abort(
                by="smurfq",
                reason="an emergency operation waits",
                grace_s=self.app.settings.limits.emergency_grace_s,
            )

    def _show_progress(self, running: Running, node: str, text: str) -> None:
        # Flower shows events only. This one keeps the task's state and its Terminate button, and shows the text; its
        # time is that of the task's start, which Flower takes from the newest such event.
        # It runs in the record writer's thread, where `self.request` is not this task's: `send_event` cannot be used.
        try:
            with self.app.events.default_dispatcher(hostname=node) as dispatcher:
                dispatcher.send(
                    "task-started", uuid=running.task_id, timestamp=running.started, result=text, retry=False
                )
        except (*AWAY, OperationalError):
            logger.debug("no progress event, Redis is away")

    def on_failure(self, exc: Exception, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """Write the end of a task that failed before or beside its operation."""
        if not isinstance(exc, SmurfqError):
            logger.error("%s[%s] failed in the worker itself", self.name, task_id, exc_info=exc)
        if patiently(lambda: self.app.records.exists(task_id)):
            patiently(lambda: self.app.write_end(task_id, _outcome_of(exc), exc))

    def after_return(self, status: str, retval: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """Let go of the slot, and have a process ready for the next operation."""
        running, self._running = self._running, None
        descriptor, self._lock = self._lock, None
        if descriptor is not None:
            os.close(descriptor)
        if running is not None:
            patiently(lambda: self.app.fence.finished(running))
        runner_of(self.app).prepare()


def runner_of(application: SmurfqApp) -> Runner:
    """The runner of this pool child."""
    runner: Runner | None = getattr(application, "operation_runner", None)
    if runner is None:
        runner = Runner(application, resolve)
        application.operation_runner = runner
    return runner


def _outcome_of(error: Exception) -> Outcome:
    if isinstance(error, OperationLostError):
        return Outcome.LOST
    return Outcome.ABORTED if isinstance(error, OperationAbortedError) else Outcome.FAILED


def _identities(pid: int) -> list[ProcessId]:
    who = ProcessId.of(pid)
    return [who] if who else []


def _request_of(task: Task) -> dict[str, Any]:
    """The task's request, as far as it takes to fail its chain, its chord and its errbacks from elsewhere."""
    request = task.request
    return {
        "id": request.id,
        "task": task.name,
        "name": task.name,
        "args": list(request.args or ()),
        "kwargs": dict(request.kwargs or {}),
        "hostname": request.hostname,
        "retries": request.retries,
        "queue": (request.delivery_info or {}).get("routing_key"),
        "root_id": request.root_id,
        "parent_id": request.parent_id,
        "group": request.group,
        "group_index": request.group_index,
        "chain": request.chain,
        "chord": request.chord,
        "errbacks": request.errbacks,
        "callbacks": request.callbacks,
        "delivery_info": request.delivery_info,
    }
