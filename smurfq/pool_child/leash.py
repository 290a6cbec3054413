"""Aborts an operation on a leash when the workflow that started it has ended or died."""

from __future__ import annotations

import time
from collections.abc import Callable

from smurfq.errors import OperationAbortedError
from smurfq.pool_child.end_request import Ask, requests_to_end
from smurfq.store import patiently
from smurfq.store.leashes import PATIENCE_S, Leashes, LeashState

_POLL_S = 0.5


class Leash:
    """The leash of one operation, which the pool child looks at while the operation runs."""

    def __init__(self, leash_id: str, leashes: Leashes, clock: Callable[[], float] = time.monotonic) -> None:
        self._id = leash_id
        self._leashes = leashes
        self._clock = clock
        self._missing_since: float | None = None
        self._told = False

    def require(self, what: str, pause: Callable[[float], None] = time.sleep) -> None:
        """Return if the operation may start; wait for a moment if the leash is missing.

        Raises
        ------
        OperationAbortedError
            The workflow that submitted it has ended.
        """
        while (why := patiently(self._why_end)) is None and self._missing_since is not None:
            pause(_POLL_S)
        if why is not None:
            raise OperationAbortedError(f"{what} was not started: {why}", by="smurfq", leash=self._id)

    def heed(self, ask: Ask, *, is_process: bool, close_within_s: float) -> None:
        """End the operation if the workflow that started it has ended; a process has ``close_within_s`` to close."""
        if self._told or (why := self._why_end()) is None:
            return
        self._told = True
        for request in requests_to_end(why, is_process=is_process, delay_s=close_within_s if is_process else 0.0):
            ask(request)

    def _why_end(self) -> str | None:
        """Return why the operation must end; None if it need not, or not yet."""
        state, word = self._leashes.look(self._id)
        if state is LeashState.OVER:
            return word
        if state is LeashState.KEPT:
            self._missing_since = None
            return None
        self._missing_since = self._clock() if self._missing_since is None else self._missing_since
        return word if self._clock() - self._missing_since >= PATIENCE_S else None
