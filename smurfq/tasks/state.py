"""`check_state`: a process of the state lane that reads the slot's state while another operation runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from smurfq.errors import OperationFailedError
from smurfq.operation_process.session import Session
from smurfq.pool_child.operation_task import operation
from smurfq.smurf_control import open_slot, read_state

_FEED_FIELDS = ("open_g3stream", "num_active_channels")


@operation
def check_state(session: Session, *, poll_interval: float, once: bool) -> None:
    """Read the slot's state every ``poll_interval`` seconds until it is stopped, or once.

    While the card does not answer, the session is degraded, and the reading is repeated.

    Raises
    ------
    OperationFailedError
        ``once`` is set, and the card did not answer.
    """
    while True:
        try:
            with open_slot(session, load_tune=False, reads_only=True) as (control, config):
                _poll(session, lambda: read_state(control, config), poll_interval, once)
            return
        except OperationFailedError as error:
            if once:
                raise
            _set_degraded(session, str(error))
        if session.wait(poll_interval):
            return


def _poll(session: Session, read: Callable[[], dict[str, Any]], poll_interval_s: float, once: bool) -> None:
    while True:
        started = time.monotonic()
        state = read()
        _set_degraded(session, None)
        session.data.observe(state, clock="last_update")
        session.feed("state_results", {name: state[name] for name in _FEED_FIELDS})
        if once or session.wait(max(0.0, poll_interval_s - (time.monotonic() - started))):
            return


def _set_degraded(session: Session, why: str | None) -> None:
    if session.degraded == (why is not None):
        return
    session.degraded = why is not None
    session.add_message(f"{why}; trying again" if why else "the card answers again")
