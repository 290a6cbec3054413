"""Rejects a run's stream while another session's stream is open: sodetlib would take that session for its own."""

from __future__ import annotations

import functools
import sys
from typing import Any, Final

from smurfq.core.card_after import close_stream_command
from smurfq.errors import OperationFailedError
from smurfq.smurf_control.registers import OPEN_G3STREAM, SESSION_ID

_ANSWER_S: Final = 2.0


def foreign_stream(slot: str, session_id: int) -> OperationFailedError:
    """The error of a run that finds a stream open that it did not open."""
    return OperationFailedError(
        f"a stream is open on {slot} that this run did not open (session {session_id}). If nobody needs it, close it "
        f"alone: {close_stream_command(slot)}",
        slot=slot,
        sid=session_id,
    )


def refuse_foreign_stream(slot: str) -> None:
    """Have this process raise where it begins a stream while another's is open; Channel Access must be imported.

    What it raises, where the streamer is told to open a g3 file, is ``OperationFailedError``.
    """
    channels: Any = sys.modules["epics.ca"]
    put = channels.put
    is_own = False

    @functools.wraps(put)
    def put_unless_foreign(chid: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal is_own
        name = channels.name(chid)
        if name.endswith(f":{OPEN_G3STREAM}"):
            if value and not is_own and (session_id := _open_session(name)):
                raise foreign_stream(slot, session_id)
            is_own = bool(value)
        return put(chid, value, *args, **kwargs)

    channels.put = put_unless_foreign


def _open_session(open_register: str) -> int:
    """The session that is open on the card of a register; 0 where none is, or none answers."""
    name = open_register.removesuffix(OPEN_G3STREAM) + SESSION_ID
    return int(sys.modules["epics"].caget(name, timeout=_ANSWER_S) or 0)
