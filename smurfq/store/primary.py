"""Connections to the primary that the sentinels name; they move when the sentinels name another one.

An old primary that was stopped during the failover and runs again answers as a primary until the sentinels demote it,
some ten seconds later. It accepts writes, and loses them when it is demoted.
"""

from __future__ import annotations

import time
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.sentinel import SentinelManagedConnection

#: The sentinels take a server for dead no sooner than this (``down-after-milliseconds``), with no reply in between.
UNASKED_S = 1.0
_PAUSE = 10.0  # of the time that an answer took: sentinels that are away must not slow each command down


class PrimaryConnection(SentinelManagedConnection):
    """A connection that trusts a reply only from the server that the sentinels name as the primary.

    Where replies follow each other within ``UNASKED_S``, no failover can have happened between them. After a longer
    silence the sentinels are asked when the reply has come, and a reply of an old primary becomes a lost connection.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        self._sure_until = 0.0

    def connect_to(self, address: tuple[str, int]) -> None:
        """Connect to the server that the sentinels have just named."""
        self._sure_until = time.monotonic() + UNASKED_S
        super().connect_to(address)  # type: ignore[no-untyped-call]

    def can_read(self, timeout: float = 0) -> bool:
        """Whether something can be read; the pool asks it of a connection that it hands out."""
        self.require_primary()
        return super().can_read(timeout)

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        """A reply; see ``Connection.read_response``.

        Raises
        ------
        redis.exceptions.ConnectionError
            The server is no longer the primary: what it was asked to do is lost.
        """
        response = super().read_response(*args, **kwargs)
        self.require_primary()
        self._sure_until = max(self._sure_until, time.monotonic() + UNASKED_S)
        return response

    def require_primary(self) -> None:
        """Nothing, if this server was heard of lately or is the primary by the sentinels' word, or they are away.

        Raises
        ------
        redis.exceptions.ConnectionError
            They name another one; the connection is closed, and goes there when it is used again.
        """
        asked = time.monotonic()
        if not self.is_connected or asked < self._sure_until:
            return
        try:
            named = self.connection_pool.get_master_address()
        except (RedisConnectionError, RedisTimeoutError):  # away, or a failover is under way
            named = None
        now = time.monotonic()
        self._sure_until = now + max(UNASKED_S, _PAUSE * (now - asked)) if named is None else now + UNASKED_S
        if named is not None and tuple(named) != (self.host, self.port):
            left = f"{self.host}:{self.port}"
            self.disconnect()  # type: ignore[no-untyped-call]
            raise RedisConnectionError(f"{left} is no longer the primary; the sentinels name {named[0]}:{named[1]}")
