"""Fixtures of the integration tests: a live site, shared by the session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.live import LiveSite


@pytest.fixture(scope="session")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSite]:
    """Valkey, a bridge, and a worker of crate1slot1 and crate1slot2; this process is their producer."""
    live = LiveSite(tmp_path_factory.mktemp("site") / "site")
    live.bind()
    try:
        live.start_bridge()
        for slot in ("crate1slot1", "crate1slot2"):
            live.start_worker(slot, wait=False)
        for slot in ("crate1slot1", "crate1slot2"):
            live.await_worker(slot)
        yield live
    finally:
        live.close()


@pytest.fixture(scope="module")
def site(_site: LiveSite) -> LiveSite:
    """The session's site, of which this process is a producer again after modules with sites of their own."""
    _site.bind()
    return _site
