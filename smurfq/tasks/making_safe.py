"""What the runner does after an operation that had to be killed.

Nobody can ask for it, so it is not in the operations table.
"""

from __future__ import annotations

import os

from smurfq import smurf_control
from smurfq.core.slot import publisher_id
from smurfq.runner.runner import MAKE_SAFE
from smurfq.runner.session import Session
from smurfq.tasks.setup import TUNING
from smurfq.tasks.task import BODIES


def make_safe(session: Session, *, killed: str | None = None, stage: str | None = None) -> None:
    """Leave the card safe, and what was found and done as session data; see ``smurf_control.make_safe``.

    Where what was ``killed`` is a setup or relock, the slot is left untuned too, and its amplifiers off if that was
    in the ``stage`` which biases them.

    The state lane only reads, beside an operation whose stream and biases are its own: after it nothing is done.
    """
    if os.environ.get("SMURFPUB_ID") == publisher_id(session.slot, "state"):
        session.data["skipped"] = "the state lane only reads"
        return
    session.data.update(smurf_control.make_safe(session.slot))
    if killed in TUNING:
        found = smurf_control.untune(session.slot, amplifiers=stage == smurf_control.AMPLIFIERS_STAGE)
        session.data["text"] += "; " + found["text"]
        session.data["safe"] = session.data["safe"] and not found["silent"]


BODIES[MAKE_SAFE] = make_safe
