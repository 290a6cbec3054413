"""The Celery application: ``smurfq.app:app``.

Every submission, from ``.delay()``, a canvas, Flower or a bare ``send_task``, passes through ``SmurfqApp.send_task``:
there it is checked, routed by its slot, and written down before it is queued.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from celery import Celery
from celery.app.task import Context
from celery.result import AsyncResult
from celery.signals import before_task_publish
from celery.utils import uuid

from smurfq import config
from smurfq.celery_settings import celery_settings
from smurfq.core import operations, session
from smurfq.core.session import Outcome, SessionRecord
from smurfq.core.slot import WORKFLOWS, Lane, publisher_id, queue_name, worker_name
from smurfq.core.submission import handed_on, operations_in
from smurfq.errors import (
    DuplicateError,
    OperationAbortedError,
    ParameterError,
    RequestError,
    UnknownSlotError,
    UnsupportedOptionError,
)
from smurfq.outbox import Message, Outbox
from smurfq.store import Records, patiently
from smurfq.store.admission import Item, LockCheck, Unique
from smurfq.store.connection import AWAY, Client
from smurfq.store.fence import Fence
from smurfq.store.holds import Holds
from smurfq.store.queues import NORMAL_PRIORITY, Queues, Waiting
from smurfq.store.snapshot import Snapshots
from smurfq.store.verbs import Verbs

PRIORITIES: Mapping[str, int] = {"urgent": 0, "normal": NORMAL_PRIORITY, "background": 9}
_sending: ContextVar[SmurfqApp | None] = ContextVar("_sending", default=None)
_TASK_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_REFUSED_OPTIONS = {
    "eta": "a message that waits for its time could be run twice; submit when the time has come",
    "countdown": "a message that waits for its time could be run twice; submit when the time has come",
    "queue": "the queue follows from the parameter 'slot'",
    "exchange": "the queue follows from the parameter 'slot'",
    "routing_key": "the queue follows from the parameter 'slot'",
    "ignore_result": "the record of every operation is kept",
}


class SmurfqApp(Celery):  # type: ignore[misc]
    """Celery, with a site's settings and with what smurfq keeps in Redis."""

    @cached_property
    def settings(self) -> config.Settings:
        """The settings of this process: read from its environment when first asked for."""
        return config.load(os.environ)

    @cached_property
    def store(self) -> Client:
        """The client of the one Redis."""
        return connect(self.settings.redis_url)

    @cached_property
    def _expires_s(self) -> float:
        return self.settings.redis.result_expires_days * 86400

    @cached_property
    def records(self) -> Records:
        """The session records."""
        return Records(self.store, self._expires_s)

    @cached_property
    def snapshots(self) -> Snapshots:
        """The copies of live records in Celery's metadata."""
        return Snapshots(self.store, self.records)

    @cached_property
    def fence(self) -> Fence:
        """Claims, leases, and what runs where."""
        return Fence(self.store, self._expires_s)

    @cached_property
    def holds(self) -> Holds:
        """The held queues."""
        return Holds(self.store)

    @cached_property
    def verbs(self) -> Verbs:
        """What is asked of running operations."""
        return Verbs(self.store)

    @cached_property
    def waiting(self) -> Queues:
        """What waits in the queues."""
        return Queues(self.store)

    def submit(
        self,
        operation: str,
        *,
        slot: str,
        params: Mapping[str, Any] | None = None,
        priority: str | int = "normal",
        emergency: bool = False,
        **options: Any,
    ) -> AsyncResult:
        """The result handle of an operation now queued for ``slot``.

        ``priority`` is ``urgent``, ``normal`` or ``background``. ``emergency`` puts it into the slot's emergency lane:
        it passes by a hold, and what runs on the slot is aborted for it.

        Raises
        ------
        RequestError
            The operation, slot, a parameter or an option is refused; nothing was queued.
        """
        name = operations.task_name(operations.operation(operation).name)
        if isinstance(priority, str):
            if priority not in PRIORITIES:
                raise ParameterError(
                    f"priority of {name}: {priority!r} is none of {', '.join(PRIORITIES)}", parameter="priority"
                )
            priority = PRIORITIES[priority]
        if emergency:
            options["headers"] = {**options.get("headers", {}), "smurfq_lane": "emergency"}
        return self.send_task(name, kwargs={**(params or {}), "slot": slot}, priority=priority, **options)

    def send_task(
        self,
        name: str,
        args: Any = None,
        kwargs: Any = None,
        *,
        task_id: str | None = None,
        chain: Any = None,
        chord: Any = None,
        link_error: Any = None,
        **options: Any,
    ) -> AsyncResult:
        """Check, route and write down a task, then queue it; see ``celery.Celery.send_task``."""
        task_id = task_id or uuid()
        try:
            checked = self._check(name, args, kwargs, options)
        except RequestError as error:
            if self.current_worker_task is None:
                raise
            # The next step of a chain: raising here would fail the step before it, which has succeeded.
            request = Context(id=task_id, chain=chain, chord=chord, errbacks=link_error, task=name)
            self.end_unrun(request, error, Outcome.FAILED)
            return AsyncResult(task_id, app=self)
        record = SessionRecord(
            session_id=task_id,
            op_name=checked.operation.name,
            slot=checked.slot,
            params=checked.params,
            submit_time=time.time(),
            parent_id=options.get("parent_id"),
            root_id=options.get("root_id"),
            simulated=self.settings.simulated,
        )
        self.records.create(record)
        sending = _sending.set(self)
        try:
            return super().send_task(
                name,
                args=checked.args,
                kwargs={**checked.params, "slot": checked.slot},
                task_id=task_id,
                chain=chain,
                chord=chord,
                link_error=link_error,
                queue=queue_name(checked.slot, checked.lane),
                **options,
            )
        except Exception:
            self.records.forget(record)
            raise
        finally:
            _sending.reset(sending)

    def keep_message(
        self, headers: Mapping[str, Any], body: Any, properties: Mapping[str, Any], routing_key: str, **_more: Any
    ) -> None:
        """Keep a message about to be sent: a worker that dies while it takes one from Redis takes it along."""
        message = {"body": body, "headers": headers, "properties": properties, "routing_key": routing_key}
        self.records.keep_message(headers["id"], message)

    def resend(self, message: Mapping[str, Any]) -> None:
        """Send a kept message again; should the first have survived after all, the claim drops one of the two."""
        queue = self.amqp.queues[message["routing_key"]]
        with self.producer_or_acquire() as producer:
            producer.publish(
                message["body"],
                exchange=queue.exchange,
                routing_key=queue.routing_key,
                declare=[queue],
                serializer="json",
                headers=message["headers"],
                retry=True,
                retry_policy=self.conf.task_publish_retry_policy,
                **message["properties"],
            )

    def _check(self, name: str, args: Any, kwargs: Any, options: dict[str, Any]) -> _Checked:
        operation = operations.operation(name)
        for option, why in _REFUSED_OPTIONS.items():
            if options.pop(option, None):
                raise UnsupportedOptionError(f"{name}: the option {option!r} is not allowed: {why}", option=option)
        params = dict(kwargs or {})
        slot = self._slot(operation, params)
        headers = options.get("headers") or {}
        lane: Lane = "emergency" if headers.get(submission.LANE) == "emergency" else operation.lane
        asked = options.get("priority")
        options["priority"] = priority_number(headers.get(submission.PRIORITY) if asked is None else asked, name)
        unique = options.pop("unique", None)
        if not isinstance(unique, bool | str | None) or unique not in _UNIQUE:
            raise ParameterError(
                f"{name}: unique must be true, false, 'waiting' or 'running'; got {unique!r}",
                operation=operation.name,
                parameter="unique",
                got=unique,
            )
        return _Checked(
            operation, slot, lane, operations.check(operation.name, params), previous_steps(operation.name, args)
        )

    def end_unrun(self, request: Any, error: Exception, outcome: Outcome, *, state: str = "FAILURE") -> None:
        """Give a task that never ran a final state, and with it the rest of its chain, its chord and errbacks."""
        self.end_records(request.id, getattr(request, "chain", None), outcome, error)
        self.backend.mark_as_failure(request.id, error, request=_whole(request), state=state)

    def end_records(self, task_id: str, chain: Any, outcome: Outcome, error: Exception) -> None:
        """Write the end of a task that never ran, and of the rest of its chain, into the records there are."""
        for each in (task_id, *_chain_ids(chain)):
            if self.records.exists(each):
                self.write_end(each, outcome, error)

    def write_end(self, task_id: str, outcome: Outcome, error: BaseException | None = None, **more: Any) -> bool:
        """Write how a run ended into its record; false where that was written before."""
        event = session.ended(time.time(), outcome, describe_error(error) if error else None, **more)
        return self.records.end(task_id, f"end-{uuid()}", event)

    def fail_waiting(self, waiting: Waiting, error: Exception | None = None) -> None:
        """Give a task that was taken out of its queue a final state, and the rest of its chain too."""
        error = error or OperationAbortedError(
            f"{waiting.op_name} was taken out of the queue {waiting.queue} before it started", slot=waiting.queue
        )
        request = Context(
            {
                **waiting.headers,
                **waiting.embed,
                "args": waiting.args,
                "kwargs": waiting.kwargs,
                "task": waiting.op_name,
            }
        )
        self.end_unrun(request, error, Outcome.ABORTED)

    def control_worker(self, slot: str, command: str, lane: Lane = "control", timeout_s: float = 1.0) -> Any:
        """The answer of a slot's worker to a remote control command; None if none came in time."""
        node = worker_name(slot, lane)
        with self.connection_for_write() as fresh:  # a pooled one may be from before a restart of Redis
            answers = self.control.broadcast(
                command, destination=[node], reply=True, timeout=timeout_s, limit=1, connection=fresh
            )
        return answers[0].get(node) if answers else None


@dataclass(frozen=True)
class _Checked:
    """A request that may be queued."""

    operation: operations.Operation
    slot: str
    lane: Lane
    params: dict[str, Any]
    args: list[Any]


def previous_steps(operation: str, args: Any) -> list[Any]:
    """The positional arguments of an operation, cut to references.

    The only one there may be is what Celery puts there itself: the record of the step before in a chain, the records
    of a chord's members, or the id of the task whose failure an operation answers. They are cut so that a chain does
    not carry its records about.

    Raises
    ------
    ParameterError
        There is another: parameters go by keyword.
    """
    args = [value for value in args or () if value is not None]
    if len(args) > 1 or (args and not _is_record(args[0])):
        raise ParameterError(
            f"{operation}: parameters go by keyword, as in slot='crate1slot2'; got the positional {args!r}",
            operation=operation,
        )
    return [_reference(args[0])] if args else []


def _is_record(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_record(item) for item in value)
    if isinstance(value, str):
        return _TASK_ID.fullmatch(value) is not None
    return isinstance(value, dict) and "session_id" in value


def _reference(value: Any) -> Any:
    if isinstance(value, list):
        return [_reference(item) for item in value]
    if isinstance(value, dict):
        return {name: value.get(name) for name in ("session_id", "op_name", "slot", "outcome")}
    return {"session_id": value}


def describe_error(error: BaseException) -> dict[str, Any]:
    """An error as the record holds it."""
    fields = getattr(error, "fields", {})
    return {"type": type(error).__name__, "message": str(error), **{k: v for k, v in fields.items() if k != "message"}}


def _whole(request: Any) -> Any:
    """``request`` with what Celery's backend looks for in it."""
    if getattr(request, "delivery_info", None) is None:
        request.delivery_info = {}
    return request


def _chain_ids(chain: Any) -> list[str]:
    ids = [(step.get("options") or {}).get("task_id") for step in chain or ()]
    return [task_id for task_id in ids if task_id]


def _keep_message(**message: Any) -> None:
    sender = _sending.get()
    if sender is not None:  # else another application of this process sends a message of its own
        sender.keep_message(**message)


before_task_publish.connect(_keep_message)
app = SmurfqApp("smurfq")
app.add_defaults(lambda: celery_settings(app.settings))
    def _slot(self, operation: operations.Operation, params: dict[str, Any]) -> str:
        """The slot that ``params`` name, taken out of them; a workflow runs beside the slots, on those it names."""
        if operation is operations.WORKFLOW:
            for slot in operations.check(operation.name, {"slots": params.get("slots")}, partial=True).get("slots", ()):
                self.settings.check_slot(slot)
            params.pop("slot", None)
            return WORKFLOWS
        if "slot" not in params:
            known = ", ".join(self.settings.slots)
            raise UnknownSlotError(f"{operation.task_name} needs the keyword 'slot', one of {known}")
        return self.settings.check_slot(params.pop("slot"))

    def _check_canvas(self, first: _Checked, later: Iterable[Mapping[str, Any]]) -> list[LockCheck]:
        """The slots whose locks a submission must pass; its later steps are checked with the first."""
        steps = [first]
        if first.accepted is None:
            for step in later:
                options = {name: value for name, value in (step.get("options") or {}).items() if value is not None}
                options.setdefault("owner", first.owner)
                steps.append(self._check(str(step.get("task")), None, step.get("kwargs"), options))
        return [LockCheck(step.slot, step.owner, step.accepted) for step in steps if step.lane == "control"]

