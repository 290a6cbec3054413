"""Describes the state of a run in one line."""

from __future__ import annotations

from smurfq.client.connection import Connection
from smurfq.client.waiting import why_waiting
from smurfq.core.session import SessionHeader


def why_queued(connection: Connection, record: SessionHeader) -> str:
    """Return the reason why a run that was just queued is waiting, or its state if it no longer waits."""
    if record.done:
        return f"ended as {record.outcome}"
    if record.status != "queued":
        return record.status
    with connection.reached():
        return str(why_waiting(connection, record))
