"""Converts a session record to an OCS session: OCS's fields with OCS's meaning first, then smurfq's own."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from smurfq.core.session import OpCode, SessionRecord
from smurfq.errors import SmurfqError

Session = dict[str, Any]

_MORE: Final = (
    "slot",
    "params",
    "outcome",
    "error",
    "submit_time",
    "messages_total",
    "files",
    "stages",
    "log",
    "log_file",
    "lost",
    "unrecorded",
    "complete",
    "simulated",
    "software",
    "tunefile",
)
_CRED_LEVEL: Final = 1  # OCS's level of a client without a password: smurfq has no levels


def encode(record: SessionRecord, op_name: str) -> Session:
    """Return the session of a run.

    A run that waits in the queue is ``starting``, and its start is the time of submission, because an OCS session
    begins with the request. The last message of a failed run is the reason of the failure, as in OCS.
    """
    queued = record.status == "queued"
    values = record.to_dict()
    return {
        "session_id": record.session_id,
        "op_name": op_name,
        "op_code": int(OpCode.STARTING if queued else record.op_code),
        "cred_level": _CRED_LEVEL,
        "status": "starting" if queued else record.status,
        "degraded": record.degraded,
        "success": record.success,
        "start_time": record.start_time or record.submit_time,
        "end_time": record.end_time,
        "data": _data(record),
        "messages": [*record.messages, *_failure(record)],
        **{name: values[name] for name in _MORE},
    }


def refused(op_name: str, slot: str, params: Mapping[str, Any], error: SmurfqError) -> Session:
    """Return a failed session for a start that was rejected."""
    now = time.time()
    record = SessionRecord(
        session_id="",
        slot=slot,
        params=dict(params),
        status="done",
        success=False,
        outcome="failed",
        error={"type": type(error).__name__, "message": str(error)},
        submit_time=now,
        start_time=now,
        end_time=now,
        complete=True,
    )
    return encode(record, op_name)


def _data(record: SessionRecord) -> dict[str, Any]:
    # Clients that wait for a stream treat a missing `stream_on` as true, so it is false until the operation sets it.
    return {"stream_on": False, **record.data} if record.op_name == "stream" else dict(record.data)


def _failure(record: SessionRecord) -> list[list[Any]]:
    if not record.done or record.success or not record.error:
        return []
    return [[record.end_time, f"ERROR: {record.error.get('type')}: {record.error.get('message')}"]]
