"""Collects a task's messages instead of sending them, in the form that they have in a queue.

Celery sends one message after another. smurfq collects them, so that ``store.admission`` can queue a whole submission
atomically, or nothing of it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from celery.utils import uuid
from kombu import Producer
from kombu.serialization import dumps as serialized
from kombu.utils.json import dumps as json_text

_PERSISTENT = 2  # AMQP's delivery mode
_OF_PUBLISHING = frozenset({"serializer", "compression", "retry", "retry_policy", "declare", "exchange"}) | {
    "delivery_mode",
    "timeout",
    "confirm_timeout",
}


@dataclass(frozen=True)
class Message:
    """A task's message, before it is queued."""

    queue: str
    body: Any
    headers: dict[str, Any]
    properties: dict[str, Any] = field(default_factory=dict)

    def kept(self) -> dict[str, Any]:
        """The message as a record keeps it."""
        return {
            "body": self.body,
            "headers": self.headers,
            "properties": self.properties,
            "routing_key": self.queue,
        }

    @classmethod
    def from_kept(cls, kept: Mapping[str, Any]) -> Message:
        """The message that ``kept`` made."""
        return cls(kept["routing_key"], kept["body"], kept["headers"], kept["properties"])

    def text(self) -> str:
        """The message as kombu's Redis transport has it in a queue. Always JSON, whatever was asked for."""
        content_type, encoding, body = serialized(self.body, serializer="json")
        properties = {
            **{name: value for name, value in self.properties.items() if name != "expiration"},
            "delivery_mode": _PERSISTENT,
            "delivery_info": {"exchange": "", "routing_key": self.queue},
            "body_encoding": "base64",
            "delivery_tag": uuid(),
        }
        body = body.encode() if isinstance(body, str) else body
        message = {
            "body": base64.b64encode(body).decode(),
            "content-encoding": encoding,
            "content-type": content_type,
            "headers": self.headers,
            "properties": properties,
        }
        return str(json_text(message))

    @property
    def priority(self) -> int:
        """Celery's number of its priority."""
        return int(self.properties["priority"])


class Outbox(Producer):  # type: ignore[misc]
    """A producer that keeps what it is given: ``messages`` for queues, and ``events`` that tell of them."""

    def __init__(self, connection: Any) -> None:
        super().__init__(connection, auto_declare=False)
        self.messages: list[Message] = []
        self.events: list[tuple[Any, dict[str, Any]]] = []

    def publish(self, body: Any, routing_key: str = "", headers: Any = None, **options: Any) -> None:
        """Keep a message."""
        if options.get("exchange"):
            self.events.append((body, {"routing_key": routing_key, "headers": headers, **options}))
            return
        properties = {name: value for name, value in options.items() if name not in _OF_PUBLISHING}
        self.messages.append(Message(routing_key, body, dict(headers or {}), properties))
