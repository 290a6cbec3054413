"""What lies in a slot's queue and is no message is dropped, and said; the worker and what it runs go on.

kombu and Celery end the worker over such a message, with the operation that runs; what they had noted as taken they
put back, so that the next worker ends over it too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery.utils.log import get_logger
from kombu.exceptions import OperationalError
from redis.exceptions import DataError

from smurfq.core.celery_options import are_signatures, is_signature
from smurfq.core.task_id import ALLOWED, is_task_id
from smurfq.store.connection import AWAY

logger = get_logger(__name__)

_SHOWN_CHARS = 200
_NO_MESSAGE = (ValueError, TypeError, LookupError, AttributeError, RecursionError, DataError)


def tolerant_channel(channel: type[Any]) -> type[Any]:
    """Kombu's channel class, which reads what is no message and drops it."""
    if hasattr(channel, "smurfq_drops"):
        return channel

    class Tolerant(channel):  # type: ignore[misc]
        smurfq_drops = True

        def _brpop_read(self, **options: Any) -> Any:
            try:
                return super()._brpop_read(**options)
            except _NO_MESSAGE as cause:
                logger.error("what lay in a queue of this worker is no message, and was dropped: %r", cause)
                return True

    Tolerant.__name__ = f"Tolerant{channel.__name__}"
    return Tolerant


def tolerant_handler(handle: Callable[[Any], Any], refuse: Callable[[str, Exception], None]) -> Callable[[Any], Any]:
    """Celery's handler of messages, which drops those that it cannot handle.

    ``refuse`` is told the id of such a message, if it has one, and what is wrong with it.
    """

    def on_task_received(message: Any) -> Any:
        try:
            _check(message)
            return handle(message)
        except (*AWAY, OSError, OperationalError):
            raise
        except Exception as cause:  # noqa: BLE001 the worker's rim: whoever wrote it must not end the worker
            shown = f"headers {message.headers!r}, body {message.body!r}"[:_SHOWN_CHARS]
            logger.error("a message could not be read, and was dropped: %r; %s", cause, shown)
            task_id = message.headers.get("id") if isinstance(message.headers, dict) else None
            if is_task_id(task_id):
                refuse(str(task_id), cause)
            message.reject()
            return None

    return on_task_received


def _check(message: Any) -> None:
    """Refuse what would end the worker, or its process, further on.

    The id becomes part of keys, of a file's name and of an environment. What follows after the task is used when the
    operation has ended and the slot is still locked.
    """
    headers = message.headers
    if not isinstance(headers, dict) or not isinstance(headers.get("task"), str):
        return  # Celery drops these itself
    if not is_task_id(headers.get("id")):
        raise ValueError(f"the id of a task must be {ALLOWED}; got {headers.get('id')!r}")
    if message.content_type != "application/json":
        return  # Celery drops these too, unread
    args, kwargs, embed = message.payload
    if not (isinstance(args, list) and isinstance(kwargs, dict) and isinstance(embed, dict)):
        raise ValueError("the body of a task must be a list of arguments, a table of keywords, and a table")
    for name in ("callbacks", "errbacks", "chain"):
        steps = embed.get(name)
        if steps is not None and not are_signatures(steps):
            raise ValueError(f"{name!r} of a task must be a list of signatures; got {steps!r}")
    if embed.get("chord") is not None and not is_signature(embed["chord"]):
        raise ValueError(f"'chord' of a task must be a signature; got {embed['chord']!r}")
