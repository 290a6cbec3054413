"""Fixtures of the integration tests: a live site, shared by the session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.site.live import LiveSite

SLOTS = ("crate1slot1", "crate1slot2")


@pytest.fixture(scope="session")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSite]:
    """Valkey, a bridge, and a worker of crate1slot1 and crate1slot2; this process is their producer.

    The worker has loaded the libraries and the cards answer: what follows the death of a run takes no time by itself.
    """
    with LiveSite(tmp_path_factory.mktemp("site") / "site", SMURFQ_WORKER_PRELOAD="true") as live:
        live.start_worker(SLOTS[0], slots=SLOTS, wait=False)
        live.start_bridge()
        live.start_cards()
        for slot in SLOTS:
            live.await_worker(slot, f"worker-{SLOTS[0]}")
        yield live


@pytest.fixture(scope="module")
def site(_site: LiveSite) -> LiveSite:
    """The session's site, of which this process is a producer again after modules with sites of their own."""
    _site.bind()
    return _site
