"""Waits for the end of a run, and gives up if no worker serves its slot or Redis does not answer."""

from __future__ import annotations

import time
from collections.abc import Callable

from smurfq.client.connection import Connection
from smurfq.client.run_reader import RunReader, read_header, read_record
from smurfq.core.session import SessionRecord
from smurfq.errors import SlotError, WaitTimeoutError
from smurfq.store.records import NOW

_LOOK_EVERY_S = 2.0


def wait_for_end(
    connection: Connection, run_id: str, is_served: Callable[[], bool], *, timeout_s: float | None, patience_s: float
) -> SessionRecord:
    """Wait for the end of a run, and return its final record.

    Raises
    ------
    WaitTimeoutError
        The run did not end within ``timeout_s``.
    SlotError
        No timeout was given, and no worker has served the slot for ``patience_s``.
    StoreUnavailableError
        No timeout was given, and Redis has not answered for ``patience_s``.
    RecordNotFoundError
        The record no longer exists.
    """
    reader = RunReader(connection)
    reader.add(run_id, run_id, NOW)  # it may miss a batch between two reads; the header is read each second anyway
    deadline = float("inf") if timeout_s is None else time.monotonic() + timeout_s
    look_every_s = min(_LOOK_EVERY_S, patience_s / 4)
    trouble_since: float | None = None
    while True:
        reader.wait([run_id], reader.over, until=min(deadline, time.monotonic() + look_every_s))
        trouble: Exception | None = None
        with reader.away.tolerated(look_every_s):
            if reader.over(run_id):
                return read_record(connection, run_id)
            if reader.header(run_id) is None:
                read_header(connection, run_id)
            trouble = None if is_served() else _unserved(run_id, patience_s)
        trouble = reader.away.cause or trouble
        if time.monotonic() >= deadline:
            raise WaitTimeoutError(f"{run_id} was not over within {timeout_s:g} s", session_id=run_id) from trouble
        if trouble is None or timeout_s is not None:
            trouble_since = None
            continue
        trouble_since = trouble_since or time.monotonic()
        if time.monotonic() - trouble_since >= patience_s:
            with connection.reached():
                raise trouble


def _unserved(run_id: str, patience_s: float) -> SlotError:
    return SlotError(
        f"no worker has served the slot of {run_id} for {patience_s:g} s (ocs.patience_s of the site file); "
        "`smurfq status` gives details",
        session_id=run_id,
    )
