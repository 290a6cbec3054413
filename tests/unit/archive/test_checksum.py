"""A file's checksum is that of complete files only."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import pytest

from smurfq.archive import checksum
from smurfq.archive.checksum import StoppedError, md5_of


def test_it_is_that_of_md5sum(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(checksum.CHUNK_BYTES + 1))
    told = subprocess.run(["md5sum", path], capture_output=True, text=True, check=True).stdout.split()[0]
    assert md5_of(str(path), threading.Event()) == told


def test_what_is_no_file_has_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "missing", tmp_path / "fifo", tmp_path):
        with pytest.raises(OSError):
            md5_of(str(path), threading.Event())


class Growing(threading.Event):
    """Looked at after each chunk: something is appended to a file then."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path, self.chunks = path, 0

    def is_set(self) -> bool:
        self.chunks += 1
        if self.chunks == 1:
            with self.path.open("ab") as file:
                file.write(b"more")
        return super().is_set()


def test_a_file_that_grows_has_none(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"begun")
    with pytest.raises(OSError, match="somebody writes to it"):
        md5_of(str(path), Growing(path))


def test_a_stop_ends_the_reading_of_a_long_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    stop = threading.Event()
    stop.set()
    with pytest.raises(StoppedError):
        md5_of(str(path), stop)
