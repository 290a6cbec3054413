"""Celery's stack of the tasks that a process is running (``celery._state._task_stack``)."""

from __future__ import annotations

from celery._state import _task_stack


def forget_current_tasks() -> None:
    """Empty the stack in a process that was forked while a task ran.

    Celery never empties it. A task that is sent from there would otherwise become a child of the forked one: it would
    take over its root id, and its errors would be reported as those of that task.
    """
    while _task_stack.top is not None:
        _task_stack.pop()
