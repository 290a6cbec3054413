"""A worker that has loaded sodetlib reports when somebody edits it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from smurfq.app import app
from smurfq.core import keys
from smurfq.tasks import test as trial
from tests.site.eventually import READY_WITHIN_S
from tests.site.live import LiveSite

pytest.importorskip("sodetlib")
SLOT = "crate1slot3"
PACKAGE = "__version__ = 'edited'\n"


def test_it_says_which_file_is_not_in_use(site: LiveSite, tmp_path: Path) -> None:
    import sodetlib

    copy = tmp_path / "sodetlib"
    copy.symlink_to(Path(sodetlib.__file__).parent)  # a development copy, mounted where Python finds it first
    edited = tmp_path / "edited"
    worker = site.start_worker(SLOT, SMURFQ_WORKER_PRELOAD="true", PYTHONPATH=f"{tmp_path}:{Path(__file__).parents[2]}")
    try:
        record = trial.delay(slot=SLOT).get(timeout=READY_WITHIN_S)
        assert record["messages"] == []
        about = app.store.hget(keys.worker(SLOT), "versions")
        assert '"sodetlib":"0.6.8"' in str(about)
        copy.unlink()
        edited.mkdir()
        (edited / "noise.py").write_text(PACKAGE)
        os.utime(edited / "noise.py", (time.time() + 5, time.time() + 5))
        copy.symlink_to(edited)
        record = trial.delay(slot=SLOT).get(timeout=READY_WITHIN_S)
        assert any("sodetlib/noise.py" in text and "restart" in text for _, text in record["messages"])
    finally:
        site.stop(worker)
