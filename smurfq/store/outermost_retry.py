"""Limits redis-py's nested retries to the outermost one.

redis-py retries a command, the connection attempt in it, and the health check in that attempt. If a server accepts
connections and does not answer, two retries become 3 * 3 attempts with a timeout each: 90 s.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from typing import Any

from redis.retry import Retry

_state = threading.local()


class OutermostRetry(Retry):
    """A ``Retry`` that does not retry if it is called within another one: only the outermost retries."""

    def call_with_retry(self, do: Callable[[], Any], fail: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Do the same as ``Retry.call_with_retry``, but make only one attempt within another call of it."""
        if getattr(_state, "retries", False):
            once = copy.copy(self)
            once.update_retries(0)
            return super(OutermostRetry, once).call_with_retry(do, fail, *args, **options)
        _state.retries = True
        try:
            return super().call_with_retry(do, fail, *args, **options)
        finally:
            _state.retries = False
