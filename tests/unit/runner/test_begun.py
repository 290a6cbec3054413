"""The notes of what was begun on this host."""

from __future__ import annotations

import os
import time
from pathlib import Path

from smurfq.runner.begun import Begun, begun_folder


def test_each_try_begins_once_whoever_asks(tmp_path: Path) -> None:
    folder = begun_folder(tmp_path, "crate1slot2")
    assert Begun(folder, 60.0).note("task", 0)
    assert not Begun(folder, 60.0).note("task", 0)
    assert Begun(folder, 60.0).note("task", 1), "a retry is another try"
    assert Begun(folder, 60.0).note("other", 0)


def test_notes_go_with_the_results(tmp_path: Path) -> None:
    Begun(tmp_path, 60.0).note("old", 0)
    Begun(tmp_path, 60.0).note("young", 0)
    os.utime(tmp_path / "old.0", times=(time.time() - 61, time.time() - 61))
    Begun(tmp_path, 60.0).note("new", 0)
    assert {path.name for path in tmp_path.iterdir()} == {"young.0", "new.0"}
