"""The steps of Celery's result backend at a task's end, for tasks that did not end in a pool child."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def fail_chain(backend: Any, chain: Any, error: Exception, state: str) -> None:
    """Give every later task of a chain the final state ``state`` (``Backend._fail_chain``).

    Celery does so itself only where a task fails, not where it is revoked or lost: the rest would stay PENDING.
    """
    backend._fail_chain(chain, error, state=state)


def call_errbacks(backend: Any, request: Any, error: Exception) -> None:
    """Call the errbacks of a task that never ran (``Backend._call_task_errbacks``)."""
    if getattr(request, "errbacks", None):
        backend._call_task_errbacks(request, error, None)


def subscribe_only_when_waited_for(backend: Any) -> None:
    """Have a result subscribed to when it is waited for, and not when its task is sent (``on_task_call``).

    Celery subscribes before the task is queued, and that waits for ever while Redis is away.
    """
    backend.on_task_call = _subscribe_later


def _subscribe_later(_producer: Any, _task_id: str) -> None:
    """Do nothing: the reader of a result subscribes to it, and then looks whether it is there."""


def wrap_chord_count(backend: Any, call: Callable[[Callable[[], Any]], Any]) -> None:
    """Have each count of a chord's member (``on_chord_part_return``) made through ``call``, which may repeat it.

    Celery makes the chord fail if Redis is away at that moment. A repeated call counts no member twice.
    """
    count = backend.on_chord_part_return

    def counted(*args: Any, **kwargs: Any) -> Any:
        return call(lambda: count(*args, **kwargs))

    backend.on_chord_part_return = counted


def count_in_chord(backend: Any, request: Any, state: str) -> None:
    """Count a task that has ended among the members of its chord; a chord that is complete has its body sent.

    The key ``.c`` of a group is the claim of a worker to send the body. It is deleted, as that worker may have died.
    """
    backend.client.delete(backend.get_key_for_group(request.group, ".c"))
    backend.on_chord_part_return(request, state, backend.get_result(request.id))
