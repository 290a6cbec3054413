"""Fixtures of the system tests: sites of their own, whose processes are killed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.live import LiveSite


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
