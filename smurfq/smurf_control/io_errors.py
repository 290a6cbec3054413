"""Makes pysmurf's errors name the register, or the cryocard, that did not answer."""

from __future__ import annotations

import time
from typing import Any, Final

from smurfq.errors import OperationFailedError
from smurfq.smurf_control.session_protocol import SessionProtocol

_PUT_S: Final = 30.0  # pyepics waits so long for the confirmation of a put, and then goes on without a word
_NO_REPLY: Final = "Failed to read address"


def name_what_is_silent(control: Any, session: SessionProtocol) -> None:
    """Have ``control`` say which register does not answer a get, or confirm a put, and when the cryocard does not.

    A get and the cryocard raise ``OperationFailedError``. A put that is not confirmed is a message only: the commands
    by which resonators are tuned take longer, and pysmurf waits for them by other means.
    """
    get, put, read_card = control._caget, control._caput, control.C.do_read

    def get_or_name(name: str, *args: Any, **kwargs: Any) -> Any:
        try:
            return get(name, *args, **kwargs)
        except OperationFailedError:
            raise
        except RuntimeError as cause:
            raise OperationFailedError(
                f"register {name} of {session.slot} does not answer: {cause}. Is it known to this version of the smurf "
                "server, and the server well? If none answers, restart_rssi may help",
                slot=session.slot,
                register=name,
            ) from cause

    def put_and_tell(name: str, *args: Any, **kwargs: Any) -> Any:
        began = time.monotonic()
        done = put(name, *args, **kwargs)
        if (took_s := time.monotonic() - began) >= kwargs.get("timeout", _PUT_S):
            session.add_message(f"WARNING: register {name} did not confirm a put within {took_s:.0f} s")
        return done

    def read_card_or_say(address: int, *args: Any, **kwargs: Any) -> Any:
        try:
            return read_card(address, *args, **kwargs)
        except Exception as cause:  # pysmurf raises nothing more exact
            if not str(cause).startswith(_NO_REPLY):
                raise
            raise OperationFailedError(
                f"the cryocard of {session.slot} does not answer (register 0x{address:X}): are its cable and its "
                "supply connected?",
                slot=session.slot,
                address=address,
            ) from cause

    control._caget, control._caput, control.C.do_read = get_or_name, put_and_tell, read_card_or_say
