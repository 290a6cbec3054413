"""The steps of Celery's result backend at a task's end, for tasks that did not end in a pool child."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def fail_chain(backend: Any, chain: Any, error: Exception, state: str) -> None:
    """Give every later task of a chain the final state ``state`` (``Backend._fail_chain``).

    Celery does so only if a task fails. If a task is revoked or lost, the rest of its chain stays PENDING.
    """
    backend._fail_chain(chain, error, state=state)


def call_errbacks(backend: Any, request: Any, error: Exception) -> None:
    """Call the errbacks of a task that never ran (``Backend._call_task_errbacks``)."""
    if getattr(request, "errbacks", None):
        backend._call_task_errbacks(request, error, None)


def subscribe_only_when_waited_for(backend: Any) -> None:
    """Subscribe to a result when somebody waits for it, and not when its task is sent (``on_task_call``).

    Celery subscribes before it queues the task, and this blocks endlessly while Redis is away.
    """
    backend.on_task_call = _subscribe_later


def _subscribe_later(_producer: Any, _task_id: str) -> None:
    """Do nothing. The reader of a result subscribes to it, and then checks whether it already exists."""


def wrap_chord_count(backend: Any, call: Callable[[Callable[[], Any]], Any]) -> None:
    """Count each member of a chord (``on_chord_part_return``) through ``call``, which may repeat it.

    Without this, the chord fails if Redis is away at that moment. A repeated call does not count a member twice.
    """
    count = backend.on_chord_part_return

    def counted(*args: Any, **kwargs: Any) -> Any:
        return call(lambda: count(*args, **kwargs))

    backend.on_chord_part_return = counted


def count_in_chord(backend: Any, request: Any, state: str) -> None:
    """Count a task that has ended as a member of its chord. If the chord is complete, its body is sent.

    The key ``.c`` of a group is a worker's claim to send the body. It is deleted, since that worker may have died.
    """
    backend.client.delete(backend.get_key_for_group(request.group, ".c"))
    backend.on_chord_part_return(request, state, backend.get_result(request.id))
