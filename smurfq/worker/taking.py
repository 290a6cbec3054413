"""A kombu channel that takes a message and marks its record as taken, by ``store/lua/take_message.lua``."""

from __future__ import annotations

import time
from queue import Empty
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from smurfq.core import keys
from smurfq.core.task_id import is_task_id
from smurfq.private_api.channel import hooked_channel
from smurfq.store.lua_scripts import lua_script
from smurfq.store.redis_errors import takes_no_writes


def marking_channel(channel: type[Any]) -> type[Any]:
    """Return a subclass of kombu's channel class that takes messages by a script and waits on the wake-up lists."""
    if hasattr(channel, "smurfq_marks"):
        return channel

    class Marking(hooked_channel(channel)):  # type: ignore[misc]
        smurfq_marks = True
        _waits = False  # the last look found nothing

        def start_taking(self, timeout_s: float | None = None) -> None:
            queues = self.take_queues()
            if not queues:
                return
            if self._waits:
                self.send_poll("BRPOP", *map(keys.wake, queues), timeout_s or self.brpop_timeout)
            else:
                lists = self.lists_of(queues)
                self.send_poll("EVAL", lua_script("take_message"), len(lists), *lists, time.time())

        def read_taken(self, **options: Any) -> Any:
            waited, self._waits = self._waits, False
            try:
                if not waited:
                    return super().read_taken(**options)
                self._read_wake_up(**options)
            except Empty:
                self._waits = True
                raise
            except ResponseError as cause:
                if takes_no_writes(cause):  # the consumer starts again, and waits before it takes another message
                    raise RedisConnectionError(str(cause)) from cause
                raise
            raise Empty

        def _read_wake_up(self, **options: Any) -> None:
            try:
                self.client.parse_response(self.client.connection, "BRPOP", **options)
            except self.connection_errors:
                self.client.connection.disconnect()  # so that the next attempt connects again
                raise
            finally:
                self.end_poll()

        def restore(self, payload: Any, exchange: Any, routing_key: Any, pipe: Any, *more: Any) -> None:
            """Put a message back into its queue: no worker has it any more."""
            task_id = payload["headers"].get("id") if isinstance(payload.get("headers"), dict) else None
            if is_task_id(task_id):
                pipe.hdel(keys.record(str(task_id)), "_taken")
            super().restore(payload, exchange, routing_key, pipe, *more)

    Marking.__name__ = f"Marking{channel.__name__}"
    return Marking
