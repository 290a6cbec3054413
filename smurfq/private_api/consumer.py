"""The parts of a running Celery consumer that determine its known tasks and the number of tasks that it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

OnUnknownTask = Callable[[Any, Any, Exception], None]


def keep_tasks(consumer: Any, prefix: str) -> None:
    """Restrict a consumer to tasks whose name starts with ``prefix`` (``Consumer.strategies``).

    Celery registers its own tasks in every worker, and has no setting to exclude them.
    """
    for name in [name for name in consumer.strategies if not name.startswith(prefix)]:
        del consumer.strategies[name]


def handle_unknown_tasks(consumer: Any, make: Callable[[OnUnknownTask], OnUnknownTask]) -> None:
    """Replace the handler of messages for unknown tasks (``Consumer.on_unknown_task``) by what ``make`` returns.

    ``make`` is given Celery's own handler, which stores the task as failed, whatever state it has.
    """

    def celerys(body: Any, message: Any, error: Exception) -> None:
        type(consumer).on_unknown_task(consumer, body, message, error)

    consumer.on_unknown_task = make(celerys)


def release_place(consumer: Any) -> None:
    """Free the place in the pool of a task that was taken and never started (``WorkController.semaphore``).

    Celery frees it only when a pool child reports that the task has ended.
    """
    if (semaphore := getattr(consumer.controller, "semaphore", None)) is not None:
        semaphore.release()
