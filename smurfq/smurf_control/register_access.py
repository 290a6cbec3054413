"""Wraps how pysmurf reads and writes registers, so that a card or a streamer that hangs is reported by name.

Three things are wrong with pysmurf's own access, and each is mended in one place:

- *A get that fails* raises a ``RuntimeError`` without the register's name; here the error names it.
- *A put that is not confirmed* goes unnoticed: pyepics waits 30 s and returns. Here it becomes a message of the run.
  It is no error, because the commands that tune resonators take longer, and pysmurf waits for them by other means.
- *sodetlib waits without a limit* for the streamer to close a g3 file: it reads the session id until that is 0. Here
  the reading raises once limits.close_stream_s have passed since the streamer was told to close.

The cryocard has a read of its own, which raises a bare ``Exception``. It is wrapped too, so that the error names the
card. The methods of one ``SmurfControl`` are replaced instead of its class, because sodetlib creates the object.
"""

from __future__ import annotations

import time
from typing import Any, Final

from smurfq.errors import OperationFailedError
from smurfq.smurf_control.registers import OPEN_G3STREAM, SESSION_ID
from smurfq.smurf_control.session_protocol import SessionProtocol

_PUT_S: Final = 30.0  # how long pyepics waits for the confirmation of a put unless told otherwise
_NO_REPLY: Final = "Failed to read address"


def check_access(control: Any, session: SessionProtocol) -> None:
    """Have ``control`` report registers, a cryocard and a streamer that do not answer, as this module says.

    A get, the cryocard and the streamer raise ``OperationFailedError``; a put adds a message to the session.
    """
    access = _CheckedAccess(control, session)
    control._caget, control._caput, control.C.do_read = access.get, access.put, access.read_cryocard


class _CheckedAccess:
    """The access of one SmurfControl to its registers."""

    def __init__(self, control: Any, session: SessionProtocol) -> None:
        self._get, self._put, self._read_cryocard = control._caget, control._caput, control.C.do_read
        self._session = session
        self._closing_since: float | None = None  # the streamer was told to close its g3 file then

    def get(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Return what pysmurf's ``_caget`` returns."""
        slot = self._session.slot
        try:
            value = self._get(name, *args, **kwargs)
        except OperationFailedError:  # a RuntimeError as well: the register is another slot's
            raise
        except RuntimeError as cause:
            raise OperationFailedError(
                f"register {name} of {slot} does not answer: {cause}. Is it known to this version of the smurf "
                "server, and the server well? If none answers, restart_rssi may help",
                slot=slot,
                register=name,
            ) from cause
        if name.endswith(SESSION_ID) and value:
            self._check_closing(value)
        return value

    def put(self, name: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Return what pysmurf's ``_caput`` returns."""
        started = time.monotonic()
        done = self._put(name, value, *args, **kwargs)
        took_s = time.monotonic() - started
        if took_s >= kwargs.get("timeout", _PUT_S):
            self._session.add_message(f"WARNING: register {name} did not confirm a put within {took_s:.0f} s")
        if name.endswith(OPEN_G3STREAM):
            self._closing_since = None if value else time.monotonic()
        return done

    def read_cryocard(self, address: int, *args: Any, **kwargs: Any) -> Any:
        """Return what pysmurf's ``do_read`` of the cryocard returns."""
        try:
            return self._read_cryocard(address, *args, **kwargs)
        except Exception as cause:  # pysmurf raises nothing more exact
            if not str(cause).startswith(_NO_REPLY):
                raise
            raise OperationFailedError(
                f"the cryocard of {self._session.slot} does not answer (register 0x{address:X}): are its cable and its "
                "supply connected?",
                slot=self._session.slot,
                address=address,
            ) from cause

    def _check_closing(self, session_id: Any) -> None:
        slot, within_s = self._session.slot, self._session.settings.limits.close_stream_s
        if self._closing_since is not None and time.monotonic() - self._closing_since > within_s:
            raise OperationFailedError(
                f"the streamer of {slot} was told to close session {session_id} and has not done so within "
                f"{within_s:g} s: its g3 file has no end. Look at the streamer's log and the disk; "
                "limits.close_stream_s is the limit",
                slot=slot,
                sid=int(session_id),
            )
