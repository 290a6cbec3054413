"""Limits how long sodetlib waits for a g3 file to close; without this its loop never ends."""

from __future__ import annotations

import time
from typing import Any, Final

from smurfq.errors import OperationFailedError
from smurfq.smurf_control.registers import OPEN_G3STREAM

_SESSION_ID: Final = "AMCc:SmurfProcessor:SOStream:SOFileWriter:session_id"


def limit_closing(control: Any, slot: str, within_s: float) -> None:
    """Have ``control`` raise when a session is still open ``within_s`` after it was told to close.

    What it raises, where sodetlib asks for the session id, is ``OperationFailedError``.
    """
    get, put = control._caget, control._caput
    told_at: float | None = None

    def put_and_note(name: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal told_at
        done = put(name, value, *args, **kwargs)
        if name.endswith(OPEN_G3STREAM):
            told_at = None if value else time.monotonic()
        return done

    def get_within_limit(name: str, *args: Any, **kwargs: Any) -> Any:
        value = get(name, *args, **kwargs)
        if name.endswith(_SESSION_ID) and value and told_at is not None and time.monotonic() - told_at > within_s:
            raise OperationFailedError(
                f"the streamer of {slot} was told to close session {value} and has not done so within {within_s:g} s: "
                "its g3 file has no end. Look at the streamer's log and the disk; limits.close_stream_s is the limit",
                slot=slot,
                sid=int(value),
            )
        return value

    control._caput, control._caget = put_and_note, get_within_limit
