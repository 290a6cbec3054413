"""Collects a task's messages, in their form in a queue, instead of sending them.

Celery sends one message after another. smurfq collects them, so that ``store.admission`` can queue either the whole
submission or nothing, atomically.
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
        """Return the message in the form in which a record keeps it."""
        return {
            "body": self.body,
            "headers": self.headers,
            "properties": self.properties,
            "routing_key": self.queue,
        }

    @classmethod
    def from_kept(cls, kept: Mapping[str, Any]) -> Message:
        """Rebuild a message from what ``kept`` returned."""
        return cls(kept["routing_key"], kept["body"], kept["headers"], kept["properties"])

    def text(self) -> str:
        """Return the message in the form of a queue of kombu's Redis transport. It is always JSON."""
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
        """Return Celery's number for the message's priority."""
        return int(self.properties["priority"])


class Outbox(Producer):  # type: ignore[misc]
    """A producer that keeps its messages: ``messages`` for queues, and Celery's ``events`` about them."""

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
