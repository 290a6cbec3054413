"""Fixtures of the integration tests: a live site, shared by the session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from smurfq.app import app
from smurfq.store.left_on import LeftOnNotes
from tests.site.live import PRELOAD, LiveSite

SLOTS = ("crate1slot1", "crate1slot2")


@pytest.fixture(scope="session")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSite]:
    """Valkey, a bridge, and a worker of crate1slot1 and crate1slot2; this process is their producer.

    The workers have loaded the libraries and the cards answer: what follows the death of a run takes no time by itself.
    """
    with LiveSite(tmp_path_factory.mktemp("site") / "site", **PRELOAD) as live:
        live.start_cards()
        live.start_bridge()
        for slot in SLOTS:
            live.start_worker(slot, wait=False)
        for slot in SLOTS:
            live.await_worker(slot)
        yield live


@pytest.fixture(scope="module")
def site(_site: LiveSite) -> LiveSite:
    """The session's site, of which this process is a producer again after modules with sites of their own."""
    _site.bind()
    return _site


@pytest.fixture(autouse=True)
def forget_notes_of_earlier_tests(request: pytest.FixtureRequest) -> None:
    """Remove the notes of what earlier tests' runs left on.

    No card answers at this site. So a run that died leaves a note that nothing removes, and each later run of the slot
    tries to make the card safe again, says so in its record, and takes seconds longer.
    """
    if "_site" in request.fixturenames and "site" in request.fixturenames:
        request.getfixturevalue("site")
        notes = LeftOnNotes(app.store)
        for slot in SLOTS:
            notes.write(slot, None)
