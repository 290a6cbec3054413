"""Reports the bridge's health and counters to Redis."""

from __future__ import annotations

import os
import socket
import time

from smurfq.bridge.buffer import Buffer
from smurfq.bridge.redis_retry import RedisRetry
from smurfq.config import Settings
from smurfq.store import best_effort
from smurfq.store.bridge import BridgeBoard, Counters, Health
from smurfq.store.connection import connect
from smurfq.store.redis_errors import AWAY


class HealthSign:
    """Writes the bridge's health to Redis. If Redis is away, this is logged once and nothing fails."""

    def __init__(
        self, settings: Settings, buffer: Buffer, counters: Counters, retry: RedisRetry, receive_buffer_bytes: int
    ) -> None:
        self._board = BridgeBoard(connect(settings.redis_url, retries=0), settings.bridge_name)
        self._buffer = buffer
        self._counters = counters
        self._retry = retry
        self._health = Health(
            name=settings.bridge_name,
            pid=os.getpid(),
            host=socket.gethostname(),
            started=time.time(),
            address=f"{settings.bridge.host}:{settings.bridge.port}",
            receive_buffer_bytes=receive_buffer_bytes,
            counters=counters,
            relay=settings.bridge.relay,
        )

    def show(self) -> None:
        """Write the health."""
        self._counters.buffered = self._buffer.pressing
        try:
            self._board.show(self._health)
        except AWAY as cause:
            self._retry.away(cause)
        else:
            self._retry.back()

    def clear(self) -> None:
        """Delete the health, so that nobody waits for this bridge."""
        if self._retry.is_away:
            return  # it expires by itself
        with best_effort("the bridge's report is not removed, and expires"):
            self._board.clear()
