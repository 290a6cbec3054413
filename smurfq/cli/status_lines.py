"""One line on where a run stands."""

from __future__ import annotations

from smurfq.client.connection import Connection
from smurfq.client.waiting import why_waiting
from smurfq.core.session import SessionHeader


def why_queued(connection: Connection, record: SessionHeader) -> str:
    """What a run that was just queued waits for, or where it stands by now."""
    if record.done:
        return f"ended as {record.outcome}"
    if record.status != "queued":
        return record.status
    with connection.reached():
        return str(why_waiting(connection, record))
