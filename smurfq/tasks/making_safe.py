"""What the runner does after an operation that had to be killed.

Nobody can ask for it, so it is not in the operations table.
"""

from __future__ import annotations

import os

from smurfq import smurf_control
from smurfq.core.slot import publisher_id
from smurfq.runner.runner import MAKE_SAFE
from smurfq.runner.session import Session
from smurfq.tasks.task import BODIES


def make_safe(session: Session) -> None:
    """Leave the card safe, and what was found and done as session data; see ``smurf_control.make_safe``.

    The state lane only reads, beside an operation whose stream and biases are its own: after it nothing is done.
    """
    if os.environ.get("SMURFPUB_ID") == publisher_id(session.slot, "state"):
        session.data["skipped"] = "the state lane only reads"
        return
    session.data.update(smurf_control.make_safe(session.slot))


BODIES[MAKE_SAFE] = make_safe
