"""Fixtures of the system tests: separate sites, whose processes are killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.live import LiveSite
from tests.system.folder import Folder


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSite]:
    """A Valkey and a bridge for the module; the tests start their workers themselves."""
    live = LiveSite(tmp_path_factory.mktemp("site") / "site")
    live.bind()
    try:
        live.start_bridge()
        yield live
    finally:
        live.close()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    """A folder in which a test calls `smurfq`, and that nothing may outlive."""
    found = Folder(tmp_path)
    (tmp_path / "out").touch()
    try:
        yield found
    finally:
        found.end()
