"""Checks whether sodetlib's analysis succeeded.

Some functions of sodetlib print the error of an analysis and return as if it had succeeded.
"""

from __future__ import annotations

from typing import Any

from smurfq.errors import OperationFailedError
from smurfq.operation_process.session import Session
from smurfq.operation_process.stream_gaps import check_gaps


def is_analysed(session: Session, analysis: Any, result: str) -> bool:
    """Return whether ``analysis`` has its ``result`` and is saved; false if no analysis was asked for.

    Raises
    ------
    OperationFailedError
        The analysis was asked for and has failed, or its stream has gaps.
    OperationAbortedError
        An abort has interrupted the analysis.
    """
    check_gaps(session, getattr(analysis, "am", None))
    if getattr(analysis, result, None) is not None and getattr(analysis, "filepath", None):
        return True
    session.stop_point()
    session.data["sid"] = sid = getattr(analysis, "sid", None)
    if not _was_asked_for(analysis):
        session.add_message(f"stream {sid} is taken; no analysis of it was asked for")
        return False
    raise OperationFailedError(
        f"{session.op_name} on {session.slot}: stream {sid} was taken, but its analysis failed "
        f"({type(analysis).__name__} has no {result} or was not saved); the session's log has the traceback",
        slot=session.slot,
        sid=sid,
    )


def _was_asked_for(analysis: Any) -> bool:
    run_kwargs = getattr(analysis, "run_kwargs", None) or {}
    return bool(run_kwargs.get("run_analysis", True))
