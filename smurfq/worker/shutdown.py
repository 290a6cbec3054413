"""Stops a worker, whether Redis answers or not, and ends the chain of a task that Celery revoked."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from typing import Any, NoReturn

import psutil
from celery import signals
from celery.exceptions import TaskRevokedError
from celery.utils.log import get_logger
from celery.worker import state
from redis.exceptions import RedisError

from smurfq.app import SmurfqApp
from smurfq.core.session import Outcome
from smurfq.errors import OperationAbortedError
from smurfq.host.orphans import end_orphans, orphans_of
from smurfq.host.outcome_spool import OutcomeSpool
from smurfq.private_api import result_backend
from smurfq.store.connection import connect as connect_redis
from smurfq.store.connection import require_writes
from smurfq.store.redis_errors import explain

logger = get_logger(__name__)

WITHOUT_REDIS_EXIT = 69  # EX_UNAVAILABLE
PATIENCE_S = 10.0  # of a worker that has nothing more to do than to write to a Redis that is away
_LOOK_EVERY_S = 0.5
_LOG_WITHIN_S = 2.0
_STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}


def connect(app: SmurfqApp) -> None:
    """Watch for the signals that stop this process, and for the tasks that Celery revokes.

    The kernel's signals are read from a pipe by a thread of their own. Celery handles them in the main thread, which
    may wait for Redis, for a lock or for its pool by then, and may never come to the end of its handler.
    """
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    threading.Thread(target=_stop_when_told, args=(app, read), name="stopping", daemon=True).start()

    def revoked(sender: Any = None, request: Any = None, expired: bool = False, **_kwargs: Any) -> None:
        fail_revoked(app, request, expired=expired)

    signals.task_revoked.connect(revoked, weak=False)


def _stop_when_told(app: SmurfqApp, told: int) -> None:
    """Once told to stop, end the running operation and then this worker, in bounded time even without Redis."""
    while not app.worker_context.told_to_stop and os.read(told, 1)[0] not in _STOP_SIGNALS:
        pass
    app.worker_context.stop()
    _leave_in_time(app)


def _leave_in_time(app: SmurfqApp) -> None:
    """End this process when it only waits for Redis; if Redis answers, Celery ends it earlier.

    Celery, kombu and what writes the results here wait for Redis for as long as it is away.
    """
    client = connect_redis(app.settings.redis_url, retries=0)
    away_since: float | None = None
    while True:
        asked = time.monotonic()
        try:
            require_writes(client)
            away_since = None
        except RedisError as cause:
            away_since = asked if away_since is None else away_since
            if time.monotonic() - away_since >= PATIENCE_S and not _operation_lives(app):
                _leave(app, cause)
        time.sleep(_LOOK_EVERY_S)


def _operation_lives(app: SmurfqApp) -> bool:
    """Return whether the operation is still running or ending, or its card is being made safe.

    Between two of these steps, none of its processes may exist. So the pool child reports when it has kept the outcome.
    """
    if app.worker_context.is_driving:
        return True
    pool = {child.pid for child in psutil.Process().children()}
    return any(pid not in pool for task_id in _active(app) for pid in orphans_of(task_id, app.worker_context.lock))


def _leave(app: SmurfqApp, cause: Exception) -> NoReturn:
    try:
        active = _active(app)
        # The main thread may hold the log's lock for ever, if a signal interrupted it there, or the log may be stuck.
        log = threading.Thread(target=_log_leaving, args=(app, cause, active), daemon=True)
        log.start()
        log.join(_LOG_WITHIN_S)
        for child in psutil.Process().children():
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        for task_id in active:
            end_orphans(task_id, app.worker_context.lock)
    finally:
        os._exit(WITHOUT_REDIS_EXIT)


def _log_leaving(app: SmurfqApp, cause: Exception, active: list[str]) -> None:
    ends = OutcomeSpool(app.settings)
    told = [
        f"{task_id} has ended; the next worker of this host writes its outcome"
        if ends.has(task_id)
        else f"{task_id} will be lost, because its outcome cannot be written"
        for task_id in active
    ]
    logger.critical(
        "%s; this worker was told to stop and ends without Redis: %s",
        explain(app.settings.redis_url, cause),
        ", ".join(told) or "nothing ran",
    )
    logging.shutdown()


def _active(app: SmurfqApp) -> list[str]:
    """The ids of the tasks that this worker has taken and not ended; at most one."""
    return list({**state.requests, **app.worker_context.cancelled})


def fail_revoked(app: SmurfqApp, request: Any, *, expired: bool) -> None:
    """End the chain and the record of a task that was revoked, or had expired, before it ran.

    Celery 5.7 marks the task itself only; the rest of its chain would stay PENDING for ever.
    """
    why = "had expired" if expired else "was revoked"
    chain = getattr(request, "chain", None)
    result_backend.fail_chain(app.backend, chain, TaskRevokedError(why), state="REVOKED")
    result_backend.call_errbacks(app.backend, request, TaskRevokedError(why))
    error = OperationAbortedError(f"{request.task}[{request.id}] {why} before it ran", session_id=request.id)
    app.end_records(request.id, chain, Outcome.ABORTED, error)
