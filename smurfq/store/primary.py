"""Connections to the primary that the sentinels name. When the sentinels name another one, they move to it.

If a primary was paused during a failover and resumes, it answers as a primary until the sentinels demote it, some ten
seconds later. It accepts writes until then, and loses them when it is demoted.
"""

from __future__ import annotations

import time
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.sentinel import SentinelManagedConnection

#: The sentinels wait at least this long (``down-after-milliseconds``) without a reply before a server counts as dead.
UNASKED_S = 1.0
_PAUSE = 10.0  # times the duration of the query: sentinels that are away must not slow down each command


class PrimaryConnection(SentinelManagedConnection):
    """A connection that trusts a reply only from the server that the sentinels name as the primary.

    If a reply comes within ``UNASKED_S`` of the one before, no failover can have happened between them. After a longer
    silence, the connection queries the sentinels once the reply has come. A reply of an old primary counts as a lost
    connection.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        self._sure_until = 0.0

    def connect_to(self, address: tuple[str, int]) -> None:
        """Connect to the server that the sentinels have just named."""
        self._sure_until = time.monotonic() + UNASKED_S
        super().connect_to(address)  # type: ignore[no-untyped-call]

    def can_read(self, timeout: float = 0) -> bool:
        """Return whether data can be read. The connection pool calls this before it hands out a connection."""
        self.require_primary()
        return super().can_read(timeout)

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        """Return a reply; see ``Connection.read_response``.

        Raises
        ------
        redis.exceptions.ConnectionError
            The server is no longer the primary, so the effect of the command is lost.
        """
        response = super().read_response(*args, **kwargs)
        self.require_primary()
        self._sure_until = max(self._sure_until, time.monotonic() + UNASKED_S)
        return response

    def require_primary(self) -> None:
        """Check that this server is still the primary.

        The check succeeds if the server answered lately, if the sentinels name it, or if the sentinels are away.

        Raises
        ------
        redis.exceptions.ConnectionError
            The sentinels name another server. This connection is closed, and connects to that server at its next use.
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
