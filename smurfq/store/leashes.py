"""Leashes: what a workflow started ends when the workflow ends or its process dies.

Who starts operations keeps a key alive; each operation's worker looks at it once a second.
"""

from __future__ import annotations

from enum import StrEnum

from smurfq.core import keys
from smurfq.core.jsonsafe import dumps, loads
from smurfq.store.connection import Client

TTL_S = 15.0  # how long a leash is kept after its keeper's last sign of life
PATIENCE_S = 5.0  # how long a leash may be missing: a keeper that lost Redis for long comes back within a second
_OVER_FOR_S = 7 * 86_400
HEADER = "smurfq_leash"  # of a task's message: the id of the leash that it is on
STEP_HEADER = "smurfq_step"  # of a task's message: which step of which workflow it is, in words
_KEPT, _OVER = "kept", "over"


class LeashState(StrEnum):
    """What a leash says to the operations on it."""

    KEPT = "kept"  # go on
    OVER = "over"  # end now: who started you has ended
    MISSING = "missing"  # end, if it stays so


class Leashes:
    """The leashes of a site."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def keep(self, leash_id: str, keeper: str) -> None:
        """Keep what is on a leash going, for a while."""
        self._client.set(keys.leash(leash_id), dumps({"state": _KEPT, "by": keeper}), px=int(1000 * TTL_S))

    def end(self, leash_id: str, why: str) -> None:
        """Have all that is on a leash end, and what waits on it never start."""
        self._client.set(keys.leash(leash_id), dumps({"state": _OVER, "by": why}), ex=_OVER_FOR_S)

    def look(self, leash_id: str) -> tuple[LeashState, str]:
        """What a leash says now, and who keeps it or why it is over."""
        text = self._client.get(keys.leash(leash_id))
        if not text:
            return LeashState.MISSING, "whoever had started it is gone"
        told = loads(str(text))
        return LeashState(told["state"]), str(told["by"])
