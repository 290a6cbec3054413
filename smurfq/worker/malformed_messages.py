"""Rejects malformed messages and remote commands, so that a worker does not crash.

kombu and Celery end the worker on such a message, together with the operation that is running. They put back what they
had taken, so the next worker would crash too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery.utils.log import get_logger
from celery.worker.state import reserved_requests, task_ready
from kombu.exceptions import OperationalError
from redis.exceptions import DataError

from smurfq.core.celery_options import are_signatures, check_headers, is_signature
from smurfq.core.jsonsafe import nested_deeper
from smurfq.core.task_id import ALLOWED, is_task_id
from smurfq.private_api.channel import hooked_channel
from smurfq.store.redis_errors import AWAY

logger = get_logger(__name__)

_JSON = "application/json"
_DEEPEST = 100  # a parameter has half of it at most
_LONGEST_NAME = 200
_SHOWN_CHARS = 200
_NO_MESSAGE = (ValueError, TypeError, LookupError, AttributeError, RecursionError, DataError)


def tolerant_channel(channel: type[Any]) -> type[Any]:
    """Return a subclass of kombu's channel class that drops malformed messages."""
    if hasattr(channel, "smurfq_drops"):
        return channel
    base: Any = hooked_channel(channel)

    class Tolerant(base):  # type: ignore[misc]
        smurfq_drops = True

        def read_taken(self, **options: Any) -> Any:
            try:
                return super().read_taken(**options)
            except _NO_MESSAGE as cause:
                logger.error("dropped a malformed message from a queue of this worker: %.200r", cause)
                return True

        def read_broadcast(self, client: Any) -> Any:
            try:
                return super().read_broadcast(client)
            except _NO_MESSAGE as cause:
                if client.connection is None:  # it is closed, and nothing was read
                    raise
                logger.error("dropped a malformed remote command or event: %.200r", cause)
                return None

        class Message(base.Message):  # type: ignore[misc]
            """A message that is never decompressed: a few bytes can expand to more than the machine's memory."""

            def __init__(self, payload: Any, channel: Any = None, **options: Any) -> None:
                headers = payload.get("headers")
                if isinstance(headers, dict) and (compression := headers.pop("compression", None)):
                    payload["content-type"] = f"{payload.get('content-type')}, compressed as {compression}"
                super().__init__(payload, channel, **options)

    Tolerant.__name__ = f"Tolerant{channel.__name__}"
    return Tolerant


def tolerant_handler(
    handle: Callable[[Any], Any], refuse: Callable[[str, Exception], None], give_back: Callable[[], None]
) -> Callable[[Any], Any]:
    """Wrap Celery's handler of messages, so that it drops messages that it cannot handle.

    ``refuse`` is told the id of such a message, if it has one, and what is wrong with it. ``give_back`` is called where
    the message had the worker's only place already: Celery itself would keep it for what never starts.
    """

    def on_task_received(message: Any) -> Any:
        reserved = list(reserved_requests)
        try:
            _check(message)
            return handle(message)
        except (*AWAY, OSError, OperationalError):
            raise
        except Exception as cause:  # noqa: BLE001 the worker's rim: whoever wrote it must not end the worker
            logger.error("dropped a message that could not be read: %.200r; %s", cause, _shown(message))
            task_id = message.headers.get("id") if isinstance(message.headers, dict) else None
            if is_task_id(task_id):
                refuse(str(task_id), cause)
            message.reject()
            for request in [one for one in reserved_requests if one not in reserved]:
                task_ready(request)
                give_back()
            return None

    return on_task_received


def _shown(message: Any) -> str:
    try:
        return f"headers {message.headers!r}, body {message.body[:_SHOWN_CHARS]!r}"[:_SHOWN_CHARS]
    except (TypeError, RecursionError):
        return "it is nested too deep to be shown, or has no text"


def _check(message: Any) -> None:
    """Reject a message that would later crash the worker or its pool child, or block its only place.

    The id becomes part of keys, of a file's name and of an environment; headers and parameters are handed to another
    process, which Python cannot do where they are nested deep. What follows after the task is used when the operation
    has ended and the slot is still locked.
    """
    headers = message.headers
    if not isinstance(headers, dict) or not isinstance(headers.get("task"), str):
        raise ValueError("a task's name and id must be in the headers of its message (Celery's protocol 2)")
    if len(headers["task"]) > _LONGEST_NAME:
        raise ValueError(f"the name of a task has {_LONGEST_NAME} characters at most; got {len(headers['task'])}")
    if not is_task_id(headers.get("id")):
        raise ValueError(f"the id of a task must be {ALLOWED}; got {headers.get('id')!r}")
    if message.content_type != _JSON:
        raise ValueError(f"a task must be {_JSON}, not compressed; got {message.content_type!r}")
    check_headers(headers)
    args, kwargs, embed = message.payload
    if not (isinstance(args, list) and isinstance(kwargs, dict) and isinstance(embed, dict)):
        raise ValueError("the body of a task must be a list of arguments, a table of keywords, and a table")
    if nested_deeper([headers, message.properties, args, kwargs], _DEEPEST):
        raise ValueError(f"headers and parameters of a task must not be nested more than {_DEEPEST} levels deep")
    for name in ("callbacks", "errbacks", "chain"):
        steps = embed.get(name)
        if steps is not None and not are_signatures(steps):
            raise ValueError(f"{name!r} of a task must be a list of signatures; got {steps!r}")
    if embed.get("chord") is not None and not is_signature(embed["chord"]):
        raise ValueError(f"'chord' of a task must be a signature; got {embed['chord']!r}")
