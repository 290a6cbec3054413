"""Celery's request of a task in a worker's main process, with public names for two of its private parts."""

from __future__ import annotations

from typing import Any

from celery.worker.request import Request


class OpenRequest(Request):  # type: ignore[misc]
    """A request that tells whether it was cancelled, which Celery keeps to itself."""

    @property
    def was_cancelled(self) -> bool:
        """Whether this request was cancelled: Celery then reports its end no more (``_already_cancelled``)."""
        return bool(self._already_cancelled)

    def mark_cancelled(self) -> None:
        """Mark this request as cancelled, as Celery's own ``cancel`` does, which kills one process only."""
        self._already_cancelled = True

    @property
    def task_context(self) -> Any:
        """What the result backend needs to store this task's end: a ``celery.app.task.Context`` (``_context``)."""
        return self._context
