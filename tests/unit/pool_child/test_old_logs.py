"""Only whole days of a slot's log files are removed, when they are old enough."""

from __future__ import annotations

import calendar
from pathlib import Path

import pytest

from smurfq.pool_child.old_logs import remove_old_logs

NOON = calendar.timegm((2026, 3, 10, 12, 0, 0))  # what ended before this has expired


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for day in ("20260228", "20260308", "20260309", "20260310", "20260311"):
        (tmp_path / "crate1slot2" / day).mkdir(parents=True)
        (tmp_path / "crate1slot2" / day / "120000_test_id.log").write_text("printed")
    return tmp_path / "crate1slot2"


def test_days_that_are_wholly_before_go_and_later_ones_stay(folder: Path) -> None:
    assert [day.name for day in remove_old_logs(folder, NOON)] == ["20260228", "20260308", "20260309"]
    assert sorted(day.name for day in folder.iterdir()) == ["20260310", "20260311"]
    assert (folder / "20260310" / "120000_test_id.log").read_text() == "printed"


def test_files_that_are_not_logs_of_operations_stay(folder: Path, tmp_path: Path) -> None:
    (folder / "notes").mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    (folder / "20250101").symlink_to(elsewhere)
    remove_old_logs(folder, NOON)
    assert (folder / "notes").is_dir()
    assert (folder / "20250101" / "kept").is_file()


def test_a_slot_without_logs_is_no_error(tmp_path: Path) -> None:
    assert remove_old_logs(tmp_path / "none", NOON) == []
