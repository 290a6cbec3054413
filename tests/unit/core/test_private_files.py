"""Folders and logs are readable by their owner only, for any umask."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from smurfq.core.private_files import is_open_to_others, make_folder, open_log


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_all_folders_that_are_missing_are_made_private(tmp_path: Path) -> None:
    for _ in range(2):
        make_folder(tmp_path / "a" / "b" / "c")
    assert {mode(tmp_path / name) for name in ("a", "a/b", "a/b/c")} == {0o700}


@pytest.mark.parametrize(("made", "is_open"), [(0o700, False), (0o750, False), (0o755, True)])
def test_a_folder_that_exists_is_left_as_it_is(tmp_path: Path, made: int, is_open: bool) -> None:
    folder = tmp_path / "there"
    folder.mkdir()
    folder.chmod(made)
    make_folder(folder)
    assert mode(folder) == made
    assert is_open_to_others(folder) is is_open


def test_a_log_is_private_and_appended_to(tmp_path: Path) -> None:
    for text in (b"one\n", b"two\n"):
        with open_log(tmp_path / "log") as log:
            log.write(text)
            assert log.tell() == (tmp_path / "log").stat().st_size
    assert (tmp_path / "log").read_bytes() == b"one\ntwo\n"
    assert mode(tmp_path / "log") == 0o600
