"""Fixtures of the system tests: separate sites, whose processes are killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.site.folder import Folder
from tests.site.live import LiveSite


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSite]:
    """A Valkey and a bridge for the module; the tests start their workers themselves."""
    with LiveSite(tmp_path_factory.mktemp("site") / "site") as live:
        live.start_cards()
        live.start_bridge()
        yield live


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    """A folder in which a test calls `smurfq`, and that nothing may outlive."""
    with Folder(tmp_path) as found:
        yield found
