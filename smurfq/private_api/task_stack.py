"""Celery's stack of the tasks that a process is running (``celery._state._task_stack``)."""

from __future__ import annotations

from celery._state import _task_stack


def forget_current_tasks() -> None:
    """Empty the stack in a process that was forked while a task ran.

    Celery never empties the stack. Otherwise, a task that this process sends would become a child of the task that ran
    when it was forked: it would inherit the root id, and its errors would be reported as that task's errors.
    """
    while _task_stack.top is not None:
        _task_stack.pop()
