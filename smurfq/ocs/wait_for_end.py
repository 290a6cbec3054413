"""Waits for the end of a run, but not for something that does not exist."""

from __future__ import annotations

import time
from collections.abc import Callable

from smurfq.client import Run
from smurfq.core.session import SessionRecord
from smurfq.errors import SlotError, StoreUnavailableError, WaitTimeoutError

_LOOK_EVERY_S = 2.0
_PAUSE_S = 0.5


def wait_for_end(
    run: Run, is_served: Callable[[], bool], *, timeout_s: float | None, patience_s: float
) -> SessionRecord:
    """The final record of a run.

    Raises
    ------
    WaitTimeoutError
        It was not over within ``timeout_s``.
    SlotError
        No timeout was given, and for ``patience_s`` no worker has served the slot.
    StoreUnavailableError
        No timeout was given, and Redis has not answered for so long.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    look_every_s = min(_LOOK_EVERY_S, patience_s / 4)
    trouble_since: float | None = None
    while True:
        left_s = float("inf") if deadline is None else max(0.0, deadline - time.monotonic())
        trouble: Exception | None = None
        try:
            return run.wait(min(look_every_s, left_s))
        except WaitTimeoutError:
            if left_s <= look_every_s:
                raise
            trouble = _unserved(run, is_served, patience_s)
        except StoreUnavailableError as cause:
            trouble = cause
        if trouble is None:
            trouble_since = None
            continue
        trouble_since = trouble_since or time.monotonic()
        if deadline is None and time.monotonic() - trouble_since >= patience_s:
            raise trouble
        if deadline is not None and time.monotonic() >= deadline:
            raise WaitTimeoutError(f"{run} was not over within {timeout_s:g} s: {trouble}", session_id=run.id)
        time.sleep(min(_PAUSE_S, look_every_s, left_s))


def _unserved(run: Run, is_served: Callable[[], bool], patience_s: float) -> Exception | None:
    try:
        if is_served():
            return None
    except StoreUnavailableError as cause:
        return cause
    return SlotError(
        f"no worker has served the slot of {run} for {patience_s:g} s (ocs.patience_s of the site file); "
        "`smurfq status` tells more",
        session_id=run.id,
    )
