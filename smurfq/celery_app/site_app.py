"""The Celery application of a site: settings, access to Redis, and final states of tasks that never ran."""

from __future__ import annotations

import logging
import os
import time
from functools import cached_property
from typing import Any

from celery.app.task import Context
from celery.utils import uuid

from smurfq import config
from smurfq.core import identity, session
from smurfq.core.session import Outcome
from smurfq.core.slot import Lane, worker_name
from smurfq.errors import OperationAbortedError
from smurfq.private_api import result_backend
from smurfq.private_api.application import HookedCelery
from smurfq.store import patiently
from smurfq.store.connection import Client
from smurfq.store.queues import Queues, Waiting
from smurfq.store.site_identity import reject_guess
from smurfq.store.site_store import SiteStore, StoreAccess
from smurfq.store.snapshot import Snapshots


class SiteApp(StoreAccess, HookedCelery):
    """A Celery application of a site."""

    _environments: config.Settings | None = None  # the settings of this process's environment, after they were read

    @cached_property
    def settings(self) -> config.Settings:
        """Return the settings of this process. They are read from its environment at the first use."""
        self._environments = config.load(os.environ)
        return self._environments

    @cached_property
    def site_store(self) -> SiteStore:
        """Return the site's store.

        Raises
        ------
        ConfigError
            The environment names no site, but Redis serves a site that has a name or a site file.
        """
        settings = self.settings
        if settings is self._environments:
            reject_guess(settings, os.environ)
        return SiteStore(settings)

    @property
    def store(self) -> Client:
        """Return the client of the site's Redis."""
        return self.site_store.redis

    @property
    def snapshots(self) -> Snapshots:
        """Return the access to the copies of live records in Celery's metadata."""
        return self.site_store.snapshots

    @property
    def waiting(self) -> Queues:
        """Return the access to the waiting messages."""
        return self.site_store.queues

    @property
    def owner(self) -> str:
        """Return the owner under whose name this process submits, unless a submission gives another."""
        return identity.owner(os.environ, self.settings.owner)

    def adapt_backend(self, backend: Any) -> Any:
        """Return Celery's result backend, changed so that a Redis that is away blocks no sender and fails no chord."""
        result_backend.subscribe_only_when_waited_for(backend)
        result_backend.wrap_chord_count(backend, patiently)
        return backend

    def end_unrun(self, request: Any, error: Exception, outcome: Outcome) -> None:
        """Give a task that never ran, and the rest of its chain, a final state; inform its chord and errbacks."""
        self.end_records(request.id, getattr(request, "chain", None), outcome, error)
        self.backend.mark_as_failure(request.id, error, request=_whole(request))

    def end_records(self, task_id: str, chain: Any, outcome: Outcome, error: Exception) -> None:
        """Write the end of a task that never ran, and of the rest of its chain, into the existing records."""
        for each in (task_id, *_chain_ids(chain)):
            if self.records.exists(each):
                self.write_end(each, outcome, error)

    def write_end(self, task_id: str, outcome: Outcome, error: BaseException | None = None, **more: Any) -> bool:
        """Write the outcome of a run into its record. Return false if the record has an outcome already."""
        event = session.ended(time.time(), outcome, describe_error(error) if error else None, **more)
        return self.records.end(task_id, f"end-{uuid()}", event)

    def fail_waiting(
        self, waiting: Waiting, error: Exception | None = None, outcome: Outcome = Outcome.ABORTED
    ) -> None:
        """Give a task that was removed from its queue, and the rest of its chain, a final state."""
        error = error or OperationAbortedError(
            f"{waiting.op_name} was removed from the queue {waiting.queue} before it started", slot=waiting.queue
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
        """Return the answer of a slot's worker to a remote-control command, or None if it did not answer in time."""
        node = worker_name(slot, lane)
        with self.connection_for_write() as fresh:  # a pooled connection may be older than a restart of Redis
            answers = self.control.broadcast(
                command, destination=[node], reply=True, timeout=timeout_s, limit=1, connection=fresh
            )
        return answers[0].get(node) if answers else None


def _in_one_line(record: logging.LogRecord) -> bool:
    """Remove the traceback from a log record about an attempt while Redis is away; its last line is enough."""
    if record.exc_info and record.exc_info[1] is not None:
        record.msg, record.args = f"{record.getMessage()} ({record.exc_info[1]})", ()
        record.exc_info = record.exc_text = None
    return True


for _name in ("celery.backends.base", "kombu.transport.redis"):
    logging.getLogger(_name).addFilter(_in_one_line)


def describe_error(error: BaseException) -> dict[str, Any]:
    """Return an error in the form of the record."""
    fields = getattr(error, "fields", {})
    return {"type": type(error).__name__, "message": str(error), **{k: v for k, v in fields.items() if k != "message"}}


def _whole(request: Any) -> Any:
    """Return ``request`` with the attributes that Celery's backend reads."""
    if getattr(request, "delivery_info", None) is None:
        request.delivery_info = {}
    return request


def _chain_ids(chain: Any) -> list[str]:
    ids = [(step.get("options") or {}).get("task_id") for step in chain or ()]
    return [task_id for task_id in ids if task_id]
