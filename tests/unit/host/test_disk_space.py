"""The free space of a disk, in words."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from smurfq.host.disk_space import is_low, room, room_for

NO_ROOM = OSError(errno.ENOSPC, "No space left on device")


def test_a_folder_that_is_not_there_yet_has_the_room_of_the_one_above(tmp_path: Path) -> None:
    free = os.statvfs(tmp_path)
    assert room(tmp_path / "a" / "b").startswith(f"{tmp_path}/a/b (")
    assert is_low(tmp_path / "a" / "b") is (free.f_bavail * free.f_frsize < 1 << 30)


def test_disks_are_told_of_only_where_an_error_came_of_one_that_is_full() -> None:
    proc = Path("/proc")  # a file system with nothing free
    assert room_for(ValueError("no"), [proc]) == ""
    assert room_for(NO_ROOM, [proc, proc / "self"]).endswith("(0 MB free)")
    try:
        try:
            raise NO_ROOM
        except OSError as cause:
            raise ValueError("cannot be saved") from cause
    except ValueError as error:
        assert "0 MB free" in room_for(error, [proc])


def test_a_folder_that_cannot_be_looked_at_is_passed_over() -> None:
    nowhere = Path("/proc/self/fdinfo/none\0")
    assert room(Path("/dev/null/x")).startswith("/dev/null/x (")
    assert room_for(NO_ROOM, [nowhere, Path("/proc")]).startswith("/proc (")
