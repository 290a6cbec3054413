"""Leashes: the operations that a workflow started end when the workflow ends or its process dies.

The process that starts operations (the keeper) renews a key, and the worker of each operation checks the key once a
second.
"""

from __future__ import annotations

from enum import StrEnum

from smurfq.core import keys
from smurfq.core.jsonsafe import dumps, loads
from smurfq.store.connection import Client

TTL_S = 15.0  # a leash expires this long after its keeper's last renewal
PATIENCE_S = 5.0  # how long a leash may be missing: after a long outage of Redis, its keeper renews it within a second
_OVER_FOR_S = 7 * 86_400
HEADER = "smurfq_leash"  # message header: the id of the task's leash
STEP_HEADER = "smurfq_step"  # message header: the step and workflow of the task, in words
_KEPT, _OVER = "kept", "over"


class LeashState(StrEnum):
    """The state of a leash."""

    KEPT = "kept"  # the operations continue
    OVER = "over"  # the operations end now, because the workflow has ended
    MISSING = "missing"  # the operations end if the leash stays missing


class Leashes:
    """The leashes of a site."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def keep(self, leash_id: str, keeper: str) -> None:
        """Renew a leash, so that its operations continue."""
        self._client.set(keys.leash(leash_id), dumps({"state": _KEPT, "by": keeper}), px=int(1000 * TTL_S))

    def end(self, leash_id: str, why: str) -> None:
        """End a leash: its running operations are aborted, and its waiting ones never start."""
        self._client.set(keys.leash(leash_id), dumps({"state": _OVER, "by": why}), ex=_OVER_FOR_S)

    def look(self, leash_id: str) -> tuple[LeashState, str]:
        """Return the state of a leash, and its keeper or the reason for its end."""
        text = self._client.get(keys.leash(leash_id))
        if not text:
            return LeashState.MISSING, "the process that started it is gone"
        told = loads(str(text))
        return LeashState(told["state"]), str(told["by"])
