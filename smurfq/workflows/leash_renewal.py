"""Renews a workflow's leash in a separate thread while the workflow runs."""

from __future__ import annotations

import logging
import threading

from smurfq.client.connection import Connection, whoami
from smurfq.store import best_effort, patiently
from smurfq.store.leashes import Leashes

_RENEW_EVERY_S = 1.0
_END_WITHIN_S = 10.0


class LeashRenewal:
    """Within the block, operations on the leash continue. After it, they are aborted, and waiting ones never start."""

    def __init__(self, connection: Connection, leash_id: str) -> None:
        self._connection = connection
        self._leashes = Leashes(connection.redis)
        self._id = leash_id
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def kept(self) -> bool:
        """True while the leash is being renewed."""
        return self._thread is not None

    def start(self) -> None:
        """Start to renew the leash. Call this before the first operation is submitted with the leash."""
        if self._thread is not None:
            return
        with self._connection.reached():
            self._leashes.keep(self._id, whoami())
        self._closing.clear()
        self._thread = threading.Thread(target=self._run, name="leash", daemon=True)
        self._thread.start()

    def end(self, why: str) -> None:
        """End all operations on the leash. If Redis is away, they end when the leash expires."""
        if self._thread is None:
            return
        self._closing.set()
        self._thread.join()
        self._thread = None
        with best_effort(f"cannot end the runs of {self._id} now; they end with its leash", level=logging.ERROR):
            patiently(lambda: self._leashes.end(self._id, why), give_up_after_s=_END_WITHIN_S)

    def _run(self) -> None:
        while not self._closing.wait(_RENEW_EVERY_S):
            with best_effort(f"the leash of {self._id} is not renewed"):
                self._leashes.keep(self._id, whoami())
