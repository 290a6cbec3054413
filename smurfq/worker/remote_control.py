"""Rejects or replaces remote commands that undo a worker's guarantees, and rejects tasks that are not smurfq's.

Anybody who reaches Redis can send a command to a worker or put a message into its queue.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from typing import Any

from celery.utils.log import get_logger

from smurfq.core.redis_url import without_password
from smurfq.operations import TASK_PREFIX
from smurfq.private_api.consumer import OnUnknownTask, handle_unknown_tasks, keep_tasks
from smurfq.private_api.remote_control import Command, command, replace_command
from smurfq.store import patiently

logger = get_logger(__name__)

_ONE_PROCESS = "a slot's worker has one process and keeps it: two would drive one card at once"
CLOSED: Mapping[str, str] = {
    "pool_grow": _ONE_PROCESS,
    "pool_shrink": _ONE_PROCESS,
    "pool_restart": f"{_ONE_PROCESS}; `smurfq worker` is stopped and started to load new code",
    "autoscale": _ONE_PROCESS,
    "add_consumer": "a worker serves its own slot's queues and no other's",
    "cancel_consumer": "Celery forgets it at a restart; use `smurfq hold`",
    "rate_limit": "it would keep an operation waiting unseen; use `smurfq hold`",
    "time_limit": "Celery's time limits leave the card as it is; set limits.operations instead",
}
_SECRET = ("password", "secret", "token")


def close() -> None:
    """Make this worker reject the commands in ``CLOSED``, and report its configuration without passwords.

    ``shutdown`` does what SIGTERM does. Celery's own would wait for the operation, for hours, and take no other.
    """
    for name, why in CLOSED.items():
        replace_command(name, _rejecting(name, why))
    replace_command("shutdown", _stop)
    told = command("conf")
    if not hasattr(told, "smurfq_hides"):
        replace_command("conf", _without_secrets(told))


def refuse_foreign(consumer: Any) -> None:
    """Make a worker's consumer run only operations, whatever task a message names.

    Celery has tasks of its own, and some of them run any other task without the checks before its start.
    """
    keep_tasks(consumer, TASK_PREFIX)

    def unless_recorded(celerys: OnUnknownTask) -> OnUnknownTask:
        def on_unknown_task(body: Any, message: Any, error: Exception) -> None:
            task_id = str(message.headers.get("id"))
            if patiently(lambda: consumer.app.records.exists(task_id)):
                name = message.headers["task"]
                logger.error("a message for the task %r had the id of %s: passed over", name, task_id)
                message.reject_log_error(logger, consumer.connection_errors)
            else:
                celerys(body, message, error)

        return on_unknown_task

    handle_unknown_tasks(consumer, unless_recorded)


def _rejecting(name: str, why: str) -> Command:
    def reject(state: Any, *_args: Any, **_kwargs: Any) -> dict[str, str]:
        logger.warning("remote command %s rejected: %s", name, why)
        return {"error": f"rejected by smurfq: {why}"}

    return reject


def _stop(_state: Any, **_kwargs: Any) -> dict[str, str]:
    logger.warning("remote command shutdown: this worker stops")
    os.kill(os.getpid(), signal.SIGTERM)
    return {"ok": "stopping"}


def _without_secrets(told: Command) -> Command:
    def conf(state: Any, *args: Any, **kwargs: Any) -> Any:
        return hide_secrets(told(state, *args, **kwargs))

    conf.smurfq_hides = True  # type: ignore[attr-defined]
    return conf


def hide_secrets(value: Any) -> Any:
    """Return ``value`` with ``***`` for each password: in URLs, and under keys that name a password."""
    if isinstance(value, Mapping):
        return {
            name: "***" if item and any(word in str(name).lower() for word in _SECRET) else hide_secrets(item)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [hide_secrets(item) for item in value]
    return without_password(value) if isinstance(value, str) and "://" in value else value
