"""`restart_rssi`: restarts the link to a card that is locked up, even while another operation hangs."""

from __future__ import annotations

import time

from smurfq.errors import OperationFailedError
from smurfq.operation_process.session import Session
from smurfq.pool_child.operation_task import operation
from smurfq.smurf_control import restart_link


@operation
def restart_rssi(session: Session) -> None:
    """Restart the link to the card directly by EPICS. ``rssi_responsive`` tells whether the card then answers.

    Raises
    ------
    OperationFailedError
        The smurf server did not accept the command, or the card does not answer after it.
    """
    before, after = restart_link(session.slot)
    session.data.update(rssi_responsive=after, last_updated=time.time())
    session.add_message(f"the card {_words(before)} before the restart, and {_words(after)} after it")
    if not after:
        raise OperationFailedError(
            f"the card of {session.slot} does not answer after its link was restarted; it may need a power cycle",
            slot=session.slot,
        )


def _words(answers: bool) -> str:
    return "answered" if answers else "did not answer"
