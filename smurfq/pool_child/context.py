"""The facts about a worker that its processes need: slot, lane, lease and file lock."""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from smurfq.app import SmurfqApp
from smurfq.core import keys
from smurfq.core.jsonsafe import dumps
from smurfq.core.process_id import ProcessId
from smurfq.core.slot import Lane, publisher_id, queue_name
from smurfq.errors import SmurfqError
from smurfq.host import lock
from smurfq.operation_process.process import Body
from smurfq.pool_child.attempt_log import AttemptLog, attempt_log_folder
from smurfq.pool_child.end_request import AbortRequest, Ask
from smurfq.store.lua_scripts import lua_script
from smurfq.store.site_identity import identity_of, identity_text
from smurfq.store.stream_ids import queue_report

_ALIVE_FOR_S = 5
_PID_BYTES = 8


class WorkerContext:
    """The facts about a worker: its slot, lane, lease and lock.

    ``bodies`` are the functions of the operations that it can run, by name. ``seat`` is for the workers of workflows:
    they take from one queue, and each has a lease and a lock of its own.
    """

    def __init__(
        self, app: SmurfqApp, slot: str, lane: Lane, token: str, bodies: Mapping[str, Body], seat: str | None = None
    ) -> None:
        self._app = app
        self.bodies = bodies
        self.slot = slot
        self.lane = lane
        self.token = token
        self.stream_id = app.settings.stream_ids.get(slot)  # None for workflows
        self.publisher = seat or publisher_id(slot, lane)
        self.queue = queue_name(slot, lane)
        self.leased = seat or self.queue
        self.lock = lock.lock_path(app.settings.state_dir, self.publisher)
        folder = attempt_log_folder(app.settings.state_dir, slot)
        self.begun = AttemptLog(folder, app.settings.redis.result_expires_s)
        self.about: dict[str, Any] = {}  # its description for `smurfq status`
        self._said: dict[str, str] = {}  # the description that was written last
        self.held = False  # whether its queue is
        self.loaded: float | None = None  # when pysmurf and sodetlib were (s since 1970)
        self.told_to_stop: list[int] = []  # signals that came before Celery listened to them
        self._driver = mmap.mmap(-1, _PID_BYTES)  # shared with the pool child, which is forked later
        self.cancelled: dict[str, Callable[[], object]] = {}  # writes the end of a task killed by SIGQUIT, by id
        self.stop_fd = os.eventfd(0)  # readable from ``stop`` on, in the pool child too, whether Redis answers or not

    @property
    def serves_alone(self) -> bool:
        """True if only one worker at a time takes messages from the queue: the one that has the lease."""
        return self.leased == self.queue

    def stop(self) -> None:
        """Have what runs end: the worker is being stopped."""
        os.eventfd_write(self.stop_fd, 1)

    @contextmanager
    def driving(self) -> Iterator[None]:
        """Tell the worker's main process that this one runs an operation, whose outcome it has not kept yet.

        Nothing within may wait for Redis: a worker that is told to stop waits for it.
        """
        self._driver[:] = os.getpid().to_bytes(_PID_BYTES, sys.byteorder)
        try:
            yield
        finally:
            self._driver[:] = bytes(_PID_BYTES)

    @property
    def is_driving(self) -> bool:
        """True if a living pool child runs an operation and has not kept the outcome yet."""
        pid = int.from_bytes(self._driver[:], sys.byteorder)
        who = ProcessId.of(pid) if pid else None
        return who is not None and who.alive

    def renew_lease(self) -> bool:
        """Renew the worker's lease; false if another worker has it."""
        return self._app.fence.take_lease(self.leased, self.token, self._app.settings.worker.lease_ttl_s)

    def say_alive(self) -> None:
        """Write the worker's description, which expires soon after the last time.

        Hundreds of workers do this each second, and each write goes into Redis's file. So only the fields that have
        changed are written, but at least one, which fails if Redis does not accept writes. A reader finds the whole
        description or none.
        """
        key = keys.worker(self.publisher)
        about: dict[Any, Any] = {name: dumps(value) for name, value in {**self.about, "held": self.held}.items()}
        news: dict[Any, Any] = dict(about.items() - self._said.items()) or {"held": about["held"]}
        changed = [word for field in news.items() for word in field]
        if not self._said or not self._app.store.eval(
            lua_script("renew_description"), 1, key, _ALIVE_FOR_S, len(about), *changed
        ):
            with self._app.store.pipeline(transaction=True) as pipe:
                pipe.hset(key, mapping=about)
                pipe.expire(key, _ALIVE_FOR_S)
                pipe.set(keys.SITE, identity_text(identity_of(self._app.settings, os.environ)))
                if self.stream_id is not None:
                    queue_report(pipe, self.slot, self.stream_id)
                pipe.execute()
        self._said = about

    def keep_lease(self, ask: Ask) -> None:
        """Renew the lease during an operation, and abort the operation if another worker has the lease."""
        if not self.renew_lease():
            ask(AbortRequest("smurfq", f"another worker has taken over {self.leased}", grace_s=1.0))


def worker_of(application: SmurfqApp) -> WorkerContext:
    """Return the worker that this process belongs to; ``worker_boot`` has set it."""
    context: WorkerContext | None = getattr(application, "worker_context", None)
    if context is None:
        raise SmurfqError(
            "operations run in a slot's worker only: start one with `smurfq worker --slot …`, not with `celery worker`"
        )
    return context
