"""Elects one registrar of a bridge's files, by a lease, and reports its health to Redis."""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from pathlib import Path

from redis.exceptions import RedisError

from smurfq.config import Settings
from smurfq.store import best_effort
from smurfq.store.archive_list import ArchiveList, Registrar
from smurfq.store.connection import connect
from smurfq.store.fence import Fence

_EVERY_S = 1.0


class Duty(threading.Thread):
    """Takes and renews the lease of the registrar.

    Attributes
    ----------
    held
        Whether this process has the lease.
    other
        The registrar that had the lease instead, when this process last asked for it.
    cause
        The error of Redis, if Redis is away.
    problem
        What keeps this process from registering, for the report.
    """

    def __init__(self, settings: Settings, database: Path) -> None:
        super().__init__(name="duty", daemon=True)
        client = connect(settings.redis_url, retries=0)
        self._fence = Fence(client, settings.redis.result_expires_s)
        self._archive = ArchiveList(client, settings.bridge_name)
        self._leased = f"archive.{settings.bridge_name}"
        self._token = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._ttl_s = settings.worker.lease_ttl_s
        self.database = str(database)
        self._since = time.time()
        self._stopping = threading.Event()
        self.held = False
        self.other: str | None = None
        self.cause: RedisError | None = None
        self.problem: str | None = None

    def run(self) -> None:
        """Renew the lease and report until told to stop."""
        while not self._stopping.is_set():
            try:
                held = self._fence.take_lease(self._leased, self._token, self._ttl_s)
                if held:
                    self._archive.report(self._health())
                self.other = None if held else self._fence.lease_owner(self._leased)
                self.held, self.cause = held, None
            except RedisError as cause:
                self.held, self.cause = False, cause
            self._stopping.wait(_EVERY_S)

    def finish(self) -> None:
        """Release the lease and delete the report, so that another registrar can start at once."""
        self._stopping.set()
        self.join()
        if self.held:
            with best_effort("the registrar's lease is not released, and expires"):
                self._archive.end_report()
                self._fence.release_lease(self._leased, self._token)

    def _health(self) -> Registrar:
        return Registrar(os.getpid(), socket.gethostname(), self._since, self.database, self.problem)
