"""A kombu channel that takes a message and marks its record as taken in one step; see ``smurfq.store.taking``."""

from __future__ import annotations

import time
from queue import Empty
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from smurfq.core import keys
from smurfq.core.task_id import is_task_id
from smurfq.store.connection import takes_no_writes
from smurfq.store.taking import TAKE


def marking_channel(channel: type[Any]) -> type[Any]:
    """Kombu's channel class, which asks for a message by ``TAKE``, and waits by BRPOP on the wake-up lists only."""
    if hasattr(channel, "smurfq_marks"):
        return channel

    class Marking(channel):  # type: ignore[misc]
        smurfq_marks = True
        _waits = False  # whether the last ``TAKE`` found nothing

        def _brpop_start(self, timeout: float | None = None) -> None:
            queues = self._queue_cycle.consume(len(self.active_queues))
            if not queues:
                return
            if self._waits:
                command = ["BRPOP", *map(keys.wake, queues), timeout or self.brpop_timeout]
            else:
                lists = [self._q_for_pri(queue, step) for queue in queues for step in self.priority_steps]
                command = ["EVAL", TAKE, len(lists), *lists, time.time()]
            self._in_poll = self.client.connection
            self._brpop_sent_at = time.monotonic()
            self.client.connection.send_command(*command)

        def _brpop_read(self, **options: Any) -> Any:
            waited, self._waits = self._waits, False
            try:
                if not waited:
                    return super()._brpop_read(**options)
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
                self.client.connection.disconnect()  # so that the next look connects again
                raise
            finally:
                self._in_poll = None

        def _do_restore_message(self, payload: Any, exchange: Any, routing_key: Any, pipe: Any, *more: Any) -> None:
            """Put a message back, which no worker has any more."""
            task_id = payload["headers"].get("id") if isinstance(payload.get("headers"), dict) else None
            if is_task_id(task_id):
                pipe.hdel(keys.record(str(task_id)), "_taken")
            super()._do_restore_message(payload, exchange, routing_key, pipe, *more)

    Marking.__name__ = f"Marking{channel.__name__}"
    return Marking
