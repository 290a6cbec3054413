"""Celery, with a site's settings and with what smurfq keeps in Redis; and how tasks end that never ran."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any

from celery import Celery
from celery._state import _task_stack
from celery.app.task import Context
from celery.utils import uuid

from smurfq import config, identity
from smurfq.core import session
from smurfq.core.session import Outcome
from smurfq.core.slot import Lane, worker_name
from smurfq.errors import OperationAbortedError
from smurfq.store import Records, patiently
from smurfq.store.connection import Client
from smurfq.store.control_requests import ControlRequests
from smurfq.store.fence import Fence
from smurfq.store.holds import Holds
from smurfq.store.queues import Queues, Waiting
from smurfq.store.site_identity import refuse_guess
from smurfq.store.site_store import SiteStore
from smurfq.store.snapshot import Snapshots


class SiteApp(Celery):  # type: ignore[misc]
    """A Celery application of a site."""

    _environments: config.Settings | None = None  # the settings of this process's environment, once they were read

    @cached_property
    def settings(self) -> config.Settings:
        """The settings of this process: read from its environment when first asked for."""
        self._environments = config.load(os.environ)
        return self._environments

    @cached_property
    def handles(self) -> SiteStore:
        """All that the site keeps in Redis.

        Raises
        ------
        ConfigError
            Nothing in the environment names a site, and Redis serves one that has a name or a site file.
        """
        settings = self.settings
        if settings is self._environments:
            refuse_guess(settings, os.environ)
        return SiteStore(settings)

    @property
    def store(self) -> Client:
        """The client of the one Redis."""
        return self.handles.redis

    @property
    def records(self) -> Records:
        """The session records."""
        return self.handles.records

    @property
    def snapshots(self) -> Snapshots:
        """The copies of live records in Celery's metadata."""
        return self.handles.snapshots

    @property
    def fence(self) -> Fence:
        """Claims, leases, and what runs where."""
        return self.handles.fence

    @property
    def holds(self) -> Holds:
        """The held queues."""
        return self.handles.holds

    @property
    def verbs(self) -> ControlRequests:
        """What is asked of running operations."""
        return self.handles.verbs

    @property
    def waiting(self) -> Queues:
        """What waits in the queues."""
        return self.handles.queues

    @property
    def owner(self) -> str:
        """In whose name this process submits, unless a submission says otherwise."""
        return identity.owner(os.environ, self.settings.owner)

    def _after_fork(self) -> None:
        """Celery's own; and forget the task that this process was forked in the middle of.

        What an operation's process submits is no part of that task: else its errors would be the task's.
        """
        super()._after_fork()
        while _task_stack.top is not None:
            _task_stack.pop()

    def _get_backend(self) -> Any:
        """Celery's result backend, but a result is subscribed to when it is waited for and not when its task is sent.

        Celery would subscribe before the task is queued, and wait for a Redis that is away for ever.
        """
        backend = super()._get_backend()
        backend.on_task_call = _subscribe_later
        backend.on_chord_part_return = _patient(backend.on_chord_part_return)
        return backend

    def end_unrun(self, request: Any, error: Exception, outcome: Outcome) -> None:
        """Give a task that never ran a final state, and with it the rest of its chain, its chord and errbacks."""
        self.end_records(request.id, getattr(request, "chain", None), outcome, error)
        self.backend.mark_as_failure(request.id, error, request=_whole(request))

    def end_records(self, task_id: str, chain: Any, outcome: Outcome, error: Exception) -> None:
        """Write the end of a task that never ran, and of the rest of its chain, into the records there are."""
        for each in (task_id, *_chain_ids(chain)):
            if self.records.exists(each):
                self.write_end(each, outcome, error)

    def write_end(self, task_id: str, outcome: Outcome, error: BaseException | None = None, **more: Any) -> bool:
        """Write how a run ended into its record; false where that was written before."""
        event = session.ended(time.time(), outcome, describe_error(error) if error else None, **more)
        return self.records.end(task_id, f"end-{uuid()}", event)

    def fail_waiting(
        self, waiting: Waiting, error: Exception | None = None, outcome: Outcome = Outcome.ABORTED
    ) -> None:
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
        self.end_unrun(request, error, outcome)

    def control_worker(self, slot: str, command: str, lane: Lane = "control", timeout_s: float = 5.0) -> Any:
        """The answer of a slot's worker to a remote control command; None if none came in time."""
        node = worker_name(slot, lane)
        with self.connection_for_write() as fresh:  # a pooled one may be from before a restart of Redis
            answers = self.control.broadcast(
                command, destination=[node], reply=True, timeout=timeout_s, limit=1, connection=fresh
            )
        return answers[0].get(node) if answers else None


def _in_one_line(record: logging.LogRecord) -> bool:
    """What tells of a try while Redis is away, without its traceback: the last line of that is enough."""
    if record.exc_info and record.exc_info[1] is not None:
        record.msg, record.args = f"{record.getMessage()} ({record.exc_info[1]})", ()
        record.exc_info = record.exc_text = None
    return True


for _name in ("celery.backends.base", "kombu.transport.redis"):
    logging.getLogger(_name).addFilter(_in_one_line)


def _subscribe_later(_producer: Any, _task_id: str) -> None:
    """Nothing: whoever waits for a result subscribes to it, and then looks whether it is there."""


def describe_error(error: BaseException) -> dict[str, Any]:
    """An error as the record holds it."""
    fields = getattr(error, "fields", {})
    return {"type": type(error).__name__, "message": str(error), **{k: v for k, v in fields.items() if k != "message"}}


def _whole(request: Any) -> Any:
    """``request`` with what Celery's backend looks for in it."""
    if getattr(request, "delivery_info", None) is None:
        request.delivery_info = {}
    return request


def _patient(count: Callable[..., Any]) -> Callable[..., Any]:
    """Celery's counting of a chord's member, done again while Redis is away: it counts none twice.

    Celery itself would have the chord fail for it.
    """

    def counted(*args: Any, **kwargs: Any) -> Any:
        return patiently(lambda: count(*args, **kwargs))

    return counted


def _chain_ids(chain: Any) -> list[str]:
    ids = [(step.get("options") or {}).get("task_id") for step in chain or ()]
    return [task_id for task_id in ids if task_id]
