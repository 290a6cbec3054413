"""Celery's request of a task in a worker's main process, with public names for two of its private parts."""

from __future__ import annotations

from typing import Any

from celery.worker.request import Request


class OpenRequest(Request):  # type: ignore[misc]
    """A request with public access to its cancellation and its task's context."""

    @property
    def was_cancelled(self) -> bool:
        """Return whether this request was cancelled. Celery then no longer reports its end (``_already_cancelled``)."""
        return bool(self._already_cancelled)

    def mark_cancelled(self) -> None:
        """Mark this request as cancelled, as Celery's own ``cancel`` does, which kills one process only."""
        self._already_cancelled = True

    @property
    def task_context(self) -> Any:
        """Return the ``celery.app.task.Context`` that the result backend needs at this task's end (``_context``)."""
        return self._context
