"""Celery's application, with public hooks after a fork and when it makes its result backend."""

from __future__ import annotations

from typing import Any

from celery import Celery

from smurfq.private_api.task_stack import forget_current_tasks


class HookedCelery(Celery):  # type: ignore[misc]
    """A Celery application; subclasses override ``adapt_backend``."""

    def reset_after_fork(self) -> None:
        """Drop what a forked process must not share with its parent.

        Celery calls ``_after_fork`` for processes of billiard only, not after ``os.fork``, which starts operations.
        """
        self._after_fork()

    def adapt_backend(self, backend: Any) -> Any:
        """Return the result backend to use in place of ``backend``, which Celery has just made."""
        return backend

    def _after_fork(self) -> None:
        super()._after_fork()
        forget_current_tasks()

    def _get_backend(self) -> Any:
        """Make the result backend: Celery has a setting for its class, but that would replace each URL's own class."""
        return self.adapt_backend(super()._get_backend())
