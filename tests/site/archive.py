"""A site with an archive: files and their messages, the registrar as a process, and the rows of its database."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from smurfq.store.archive_list import ArchiveList, ArchiveState
from tests.site.bridge import HOST, SLOT, BridgeSite
from tests.site.eventually import READY_WITHIN_S, eventually

STREAM = "ufm_mv9"


class Row(NamedTuple):
    """A row of the SupRsync database."""

    local_path: str
    local_md5sum: str
    archive_name: str
    remote_path: str
    deletable: bool


def rows(database: Path) -> list[Row]:
    """All rows in the order in which they were written."""
    if not database.exists():
        return []
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30.0)) as connection:
        columns = ", ".join(Row._fields)
        try:
            found = connection.execute(f"SELECT {columns} FROM supersync_v0 ORDER BY id").fetchall()
        except sqlite3.OperationalError as cause:
            if "no such table" in str(cause):
                return []
            raise
    return [Row._make([*values[:-1], bool(values[-1])]) for values in found]


def copy_with_socs(database: str, folder: str) -> list[str]:
    """Copy all files of a database to a folder for each archive with socs's copier; the paths that it did not copy."""
    from socs.db.suprsync import SupRsyncFileHandler, SupRsyncFilesManager

    manager = SupRsyncFilesManager(database)
    failed = []
    for archive in {row.archive_name for row in rows(Path(database))}:
        below = Path(folder, archive)
        below.mkdir(parents=True)
        failed += [path for path, ok in SupRsyncFileHandler(manager, archive, str(below)).copy_files() if not ok]
    manager.Session.kw["bind"].dispose()
    return failed


def write_smurf_file(data: Path, name: str, content: str = "") -> dict[str, Any]:
    """Write a file as pysmurf does, and return the payload with which it registers the file."""
    path = data / "20261128" / STREAM / "1795862400" / "outputs" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content or name)
    return {
        "path": str(path),
        "type": "noise",
        "format": "txt",
        "timestamp": 1795862401.5,
        "action": "take_noise",
        "action_ts": 1795862400,
        "plot": False,
        "pysmurf_version": "10.3.4",
    }


def write_g3_file(streams: Path, name: str) -> dict[str, Any]:
    """Write a g3 file as the smurf server does, and return the payload of its message."""
    path = streams / "17958" / STREAM / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(name)
    return {"path": str(path), "archive_name": "timestreams"}


class ArchiveSite(BridgeSite):
    """A Valkey that is there, bridges, and registrars that a test starts and ends."""

    def __init__(self, url: str, folder: Path, **variables: str) -> None:
        self.database = folder / "databases" / "suprsync.db"
        self.data, self.streams = folder / "smurf_data", folder / "timestreams"
        self.database.parent.mkdir()
        own = {
            "SMURFQ_ARCHIVE_DATABASE": str(self.database),
            "SMURFQ_SMURF_SMURF_DATA_DIR": str(self.data),
            "SMURFQ_WORKER_LEASE_TTL_S": "2",
        }
        super().__init__(url, folder, **{**own, **variables})
        self.archive = ArchiveList(self.client, HOST)

    def start_registrar(self, *arguments: str, wait: bool = True) -> subprocess.Popen[bytes]:
        """A registrar of this site, ready unless ``wait`` is false."""
        process = self.launch("archive", [sys.executable, "-m", "smurfq", "archive", *arguments], self.environ)
        if wait:
            eventually(lambda: self._is_registrar(process), READY_WITHIN_S, lambda: self.log("archive"))
        return process

    def _is_registrar(self, process: subprocess.Popen[bytes]) -> bool:
        assert process.poll() is None, self.log("archive")
        registrar = self.archive.state().registrar
        return registrar is not None and registrar.pid == process.pid

    def announce(self, *names: str, publisher: str = SLOT) -> list[str]:
        """Write files, publish their messages from one script, and return the paths in the archive."""
        wire = self.wire(publisher, f"script-{time.monotonic_ns()}")
        for name in names:
            if name.endswith(".g3"):
                wire.send("g3_file", write_g3_file(self.streams, name))
            else:
                wire.send("data_file", write_smurf_file(self.data, name))
        return [
            f"17958/{STREAM}/{name}"
            if name.endswith(".g3")
            else f"17958/{publisher}/1795862400_take_noise/outputs/{name}"
            for name in names
        ]

    def rows(self) -> list[Row]:
        """All rows of the database in the order in which they were written."""
        return rows(self.database)

    def remote_paths(self) -> list[str]:
        """The paths of all rows in the archive."""
        return [row.remote_path for row in self.rows()]

    def await_rows(self, expected: list[str]) -> None:
        """Return once the rows are these, and no message waits; fail at once if there are more."""

        def done() -> bool:
            found = self.remote_paths()
            assert len(found) <= len(expected), f"too many rows: {found}"
            return found == expected and self.archive.state().waiting == 0

        eventually(done, READY_WITHIN_S, lambda: f"{self.remote_paths()} is {expected}; {self.log('archive')}")

    def state(self) -> ArchiveState:
        """The state of the archive list."""
        return self.archive.state()

    def problem(self) -> str | None:
        """What keeps the registrar from registering."""
        registrar = self.state().registrar
        return registrar.problem if registrar else None
