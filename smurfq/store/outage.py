"""Handles outages of Redis: waits until Redis is back or until a deadline, or skips the call.

``patiently`` repeats a call until Redis is back, or until a deadline. ``best_effort`` tries once. ``RedisAway`` is for
a caller that repeats its block itself. An ``Outage`` logs when Redis goes away and when it is back. Loops that repeat
for another reason, such as a timer, use only an ``Outage``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from redis.exceptions import ResponseError

from smurfq.errors import StoreUnavailableError
from smurfq.store.redis_errors import AWAY, explain, takes_no_writes

T = TypeVar("T")

_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 0.5
_REMIND_EVERY_S: Final = 30.0
log = logging.getLogger("smurfq.store")


class Outage:
    """Logs when Redis goes away, twice a minute while it stays away, and when it is back.

    ``meanwhile`` is the part of the log line that describes the effect. Several loops of a process may share one
    ``Outage``, so that each outage is logged once.
    """

    def __init__(
        self,
        url: str = "",
        meanwhile: str = "waiting for it",
        log: logging.Logger = log,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._meanwhile = meanwhile
        self._log = log
        self._clock = clock
        self._since: float | None = None
        self._next_reminder = 0.0

    @property
    def is_away(self) -> bool:
        """True if Redis was away at the last call."""
        return self._since is not None

    def away(self, cause: BaseException) -> None:
        """Note that Redis did not answer, or does not accept writes."""
        now = self._clock()
        if self._since is not None and now < self._next_reminder:
            return
        word = "away" if self._since is None else "still away"
        self._since = now if self._since is None else self._since
        self._next_reminder = now + _REMIND_EVERY_S
        self._log.error("Redis is %s: %s; %s", word, explain(self._url, cause), self._meanwhile)

    def back(self) -> None:
        """Note that Redis answered, and accepts writes."""
        since, self._since = self._since, None
        if since is not None:
            self._log.warning("Redis is back after %.1f s", self._clock() - since)


def patiently(
    call: Callable[[], T],
    *,
    give_up_after_s: float | None = None,
    outage: Outage | None = None,
    pause: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> T:
    """Return the result of ``call``; repeat the call while Redis is away or does not accept writes.

    ``pause`` waits between two calls; it may raise an error to end the wait. ``outage`` (default: a new one) logs the
    outage.

    Raises
    ------
    StoreUnavailableError
        ``give_up_after_s`` seconds have passed without an answer.
    """
    started, wait_s, waited = clock(), _FIRST_PAUSE_S, False
    outage = outage or Outage(clock=clock)
    while True:
        try:
            answer = call()
        except (*AWAY, ResponseError) as error:
            if not isinstance(error, AWAY) and not takes_no_writes(error):
                raise
            waited_s = clock() - started
            if give_up_after_s is not None and waited_s >= give_up_after_s:
                raise StoreUnavailableError(
                    f"Redis did not answer for {waited_s:.0f} s ({error}); is it running? `smurfq doctor` gives details"
                ) from error
            outage.away(error)
            waited = True
            pause(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_PAUSE_S)
        else:
            if waited:
                outage.back()
            return answer


class RedisAway:
    """Stores whether Redis is away for a caller: ``cause`` is the newest error, and None while Redis answers."""

    def __init__(self, pause: Callable[[float], None] = time.sleep) -> None:
        self.cause: Exception | None = None
        self._pause = pause
        self._pause_s = _FIRST_PAUSE_S

    @contextmanager
    def tolerated(self, left_s: float = float("inf")) -> Iterator[None]:
        """Run the block. If Redis is away, store the cause and pause for at most ``left_s``, instead of raising.

        The caller then repeats the block.
        """
        try:
            yield
        except AWAY as cause:
            self.cause = cause
            self._pause(max(0.0, min(self._pause_s, left_s)))
            self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        else:
            self.cause, self._pause_s = None, _FIRST_PAUSE_S


class best_effort:  # noqa: N801 used as contextlib.suppress is
    """Runs the block once. If Redis is away, or the block raises ``also``, logs ``what`` and skips the rest of it."""

    def __init__(self, what: str, *also: type[Exception], level: int = logging.DEBUG) -> None:
        self._what = what
        self._passed_over = (*AWAY, *also)
        self._level = level

    def __enter__(self) -> None:
        """Run the block."""

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> bool:
        """Return whether to suppress the error, and log it if so."""
        if not isinstance(error, self._passed_over):
            return False
        log.log(self._level, "%s: %s", self._what, error)
        return True
