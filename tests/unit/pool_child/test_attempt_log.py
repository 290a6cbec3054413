"""The notes of what was begun on this host."""

from __future__ import annotations

import os
import time
from pathlib import Path

from smurfq.pool_child.attempt_log import AttemptLog, attempt_log_folder


def test_each_attempt_is_noted_once(tmp_path: Path) -> None:
    folder = attempt_log_folder(tmp_path, "crate1slot2")
    assert AttemptLog(folder, 60.0).note("task", 0)
    assert not AttemptLog(folder, 60.0).note("task", 0)
    assert AttemptLog(folder, 60.0).note("task", 1), "a retry is another try"
    assert AttemptLog(folder, 60.0).note("other", 0)


def test_notes_are_removed_with_the_results(tmp_path: Path) -> None:
    AttemptLog(tmp_path, 60.0).note("old", 0)
    AttemptLog(tmp_path, 60.0).note("young", 0)
    os.utime(tmp_path / "old.0", times=(time.time() - 61, time.time() - 61))
    AttemptLog(tmp_path, 60.0).note("new", 0)
    assert {path.name for path in tmp_path.iterdir()} == {"young.0", "new.0"}
