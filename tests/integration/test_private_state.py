"""The state folder is readable by its owner only, whichever process of a site creates it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from smurfq.client import Slot
from smurfq.client.connection import Connection
from smurfq.config import load
from tests.site.eventually import WITHIN_S
from tests.site.live import LiveSite

SLOT = "crate1slot1"


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveSite]:
    """A site none of whose processes runs yet, where files are readable for all unless told otherwise."""
    before = os.umask(0o022)
    try:
        with LiveSite(tmp_path / "site") as live:
            yield live
    finally:
        os.umask(before)


def open_to_others(state: Path) -> list[str]:
    """The folders and logs that others may read."""
    assert state.is_dir()
    found = [state, *(path for path in state.rglob("*") if path.is_dir() or path.suffix == ".log")]
    return [f"{path} {path.stat().st_mode & 0o777:o}" for path in found if path.stat().st_mode & 0o077]


def test_a_worker_started_by_itself_makes_all_of_it_private(live: LiveSite) -> None:
    live.start_bridge(wait=False)
    live.run_python(f"worker-{SLOT}", "-m", "smurfq", "worker", "--slot", SLOT)
    live.await_worker(SLOT)
    slot = Slot(SLOT, connection=Connection(load(live.environ)))
    record = slot.submit("run", script=live.script("prints.py", "print('secret')")).wait(WITHIN_S)
    assert record.log_file is not None
    assert "secret" in Path(record.log_file).read_text()
    assert open_to_others(Path(live.environ["SMURFQ_STATE_DIR"])) == []


def test_workers_of_workflows_make_it_private(live: LiveSite) -> None:
    live.start_workflows()
    assert open_to_others(Path(live.environ["SMURFQ_STATE_DIR"])) == []
