"""The internal operation that makes a card safe after a run."""

from __future__ import annotations

import os
from typing import Any

from smurfq import smurf_control
from smurfq.core.card_after import CardAfter
from smurfq.core.publisher_ids import VARIABLE, is_of_state_lane
from smurfq.operation_process.session import Session
from smurfq.tasks.setup import TUNING


def make_safe(
    session: Session,
    *,
    policy: str = CardAfter.OFF,
    start: dict[str, Any] | None = None,
    noted_dacs: list[int] | None = None,
    killed: str | None = None,
    stage: str | None = None,
) -> None:
    """Make the card safe, and report the findings and actions as session data; see ``smurf_control.make_safe``.

    If the run has left the slot's device configuration half-written, its copy from before the run is restored.

    If the ``killed`` operation is a setup or relock, the slot is also left untuned. If it was killed in the ``stage``
    that biases the amplifiers, they are turned off too.

    After a run of the state lane, nothing is done: it only reads, and the stream and the biases belong to an operation
    of the control lane.
    """
    if is_of_state_lane(os.environ.get(VARIABLE, "")):
        session.data["text"] = "the state lane only reads"
        return
    state = smurf_control.state_of(start or {})
    session.data.update(smurf_control.make_safe(session.slot, CardAfter(policy), state, noted_dacs))
    is_look = policy == CardAfter.LOOK
    if restored := smurf_control.restore_copy(session.settings, session.slot, os.environ, succeeded=is_look):
        session.data["text"] += "; " + restored
    if killed in TUNING:
        found = smurf_control.untune(session.slot, amplifiers=stage == smurf_control.AMPLIFIERS_STAGE)
        session.data["text"] += "; " + found["text"]
        session.data["safe"] = session.data["safe"] and not found["silent"]
