"""kombu's Redis channel, with public methods for how it takes, reads and restores messages."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any


def hooked_channel(channel: type[Any]) -> type[Any]:
    """Return a subclass of a channel class of kombu whose private steps can be overridden by public names.

    kombu reads a queue by ``_brpop_start`` and ``_brpop_read``, remote commands and events by ``_receive_one``, and
    puts a message back by ``_do_restore_message``. It has no hook between the reply of Redis and the message.
    """
    if hasattr(channel, "take_queues"):
        return channel

    class Hooked(channel):  # type: ignore[misc]
        def start_taking(self, timeout_s: float | None = None) -> None:
            """Send the command that takes the next message."""
            super()._brpop_start(timeout_s)

        def read_taken(self, **options: Any) -> Any:
            """Read the reply of that command, and deliver the message; raises ``queue.Empty`` if there is none."""
            return super()._brpop_read(**options)

        def read_broadcast(self, client: Any) -> Any:
            """Read a remote command or an event, and deliver it."""
            return super()._receive_one(client)

        def restore(self, payload: Any, exchange: Any, routing_key: Any, pipe: Any, *more: Any) -> None:
            """Add the commands that put a message back into its queue to ``pipe``."""
            super()._do_restore_message(payload, exchange, routing_key, pipe, *more)

        def take_queues(self) -> list[str]:
            """Return the names of the queues to read, in their order; none if the worker is held."""
            return list(self._queue_cycle.consume(len(self.active_queues)))

        def lists_of(self, queues: Iterable[str]) -> list[str]:
            """Return the names of the Redis lists of these queues, a queue's priority steps together."""
            return [self._q_for_pri(queue, step) for queue in queues for step in self.priority_steps]

        def send_poll(self, *command: Any) -> None:
            """Send a command whose reply kombu's event loop waits for."""
            self._in_poll = self.client.connection
            self._brpop_sent_at = time.monotonic()
            self.client.connection.send_command(*command)

        def end_poll(self) -> None:
            """Tell kombu's event loop that the reply was read."""
            self._in_poll = None

        def _brpop_start(self, timeout: float | None = None) -> None:
            self.start_taking(timeout)

        def _brpop_read(self, **options: Any) -> Any:
            return self.read_taken(**options)

        def _receive_one(self, client: Any) -> Any:
            return self.read_broadcast(client)

        def _do_restore_message(self, payload: Any, exchange: Any, routing_key: Any, pipe: Any, *more: Any) -> None:
            self.restore(payload, exchange, routing_key, pipe, *more)

    Hooked.__name__ = f"Hooked{channel.__name__}"
    return Hooked


def restore_unacknowledged(channel: Any, delivery_tag: str) -> None:
    """Put a message that was taken and not acknowledged back into its queue, at the front (``QoS.restore_by_tag``).

    kombu itself does so only after its visibility timeout.
    """
    channel.qos.restore_by_tag(delivery_tag)
