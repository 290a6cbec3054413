"""Rejects a run's stream while another stream is open, since sodetlib would take that stream's session for its own."""

from __future__ import annotations

import functools
import sys
from typing import Any, Final

from smurfq.core.card_after import close_stream_command
from smurfq.errors import OperationFailedError
from smurfq.smurf_control.registers import OPEN_G3STREAM, SESSION_ID

_ANSWER_S: Final = 2.0


def foreign_stream(slot: str, session_id: int) -> OperationFailedError:
    """Return the error for a run that finds an open stream which it did not open."""
    return OperationFailedError(
        f"a stream is open on {slot} that this run did not open (session {session_id}). If nobody needs it, close "
        f"only it: {close_stream_command(slot)}",
        slot=slot,
        sid=session_id,
    )


def refuse_foreign_stream(slot: str) -> None:
    """Make this process raise if it starts a stream while another one is open. Channel Access must be imported.

    The write that makes the streamer open a g3 file then raises ``OperationFailedError``.
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
    """Return the open session on the card of a register; 0 if none is open or the card does not answer."""
    name = open_register.removesuffix(OPEN_G3STREAM) + SESSION_ID
    return int(sys.modules["epics"].caget(name, timeout=_ANSWER_S) or 0)
