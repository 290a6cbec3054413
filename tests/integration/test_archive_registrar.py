"""The registrar with a real Valkey and socs's own database: each file gets one row, in order, whatever fails."""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from smurfq.archive import registrar as registrar_module
from smurfq.archive.checksum import StoppedError
from smurfq.archive.database import ArchiveDatabase
from smurfq.archive.registrar import Registrar
from smurfq.core import keys
from smurfq.core.session import SessionRecord, file_registered
from smurfq.errors import ArchiveUnavailableError
from smurfq.store import Batch, Records
from smurfq.store.archive_list import ArchiveList, FileMessage
from smurfq.store.connection import Client
from tests.site.archive import STREAM, rows, write_g3_file, write_smurf_file
from tests.site.bridge import HOST
from tests.site.small_disk import full, small_disk

pytest.importorskip("socs", reason="needs socs (pip install smurfq[archive])")
LONG_AGO_S = 60.0


class KilledError(Exception):
    """The registrar was killed."""


class Dying(ArchiveList):
    """The list of a registrar that is killed when it has written the rows."""

    def settle(self, *_: Any, **__: Any) -> None:
        raise KilledError


class Archive:
    """A registrar in this process, and the list and database between which it stands."""

    def __init__(self, client: Client, folder: Path) -> None:
        self.client = client
        self.data, self.streams = folder / "smurf_data", folder / "timestreams"
        self.path = folder / "databases" / "suprsync.db"
        self.path.parent.mkdir()
        self.list = ArchiveList(client, HOST)
        self.stop = threading.Event()
        self.new = False
        self.database = ArchiveDatabase(self.path, lambda: self.new or self.list.database() != str(self.path))
        self.registrar = Registrar(self.list, self.database, self.data, self.stop)

    def append(self, *payloads: Any, task_id: str | None = None, age_s: float = 0.0) -> None:
        """Append messages as the bridge does."""
        with self.client.pipeline() as pipe:
            arrival = time.time() - age_s
            self.list.queue(pipe, [FileMessage(STREAM, payload, arrival, task_id) for payload in payloads])
            pipe.execute()

    def file(self, name: str, content: str = "") -> dict[str, Any]:
        return write_smurf_file(self.data, name, content)

    def names(self) -> list[str]:
        """The names of the files in the database, in order."""
        return [Path(row.remote_path).name for row in rows(self.path)]

    def lists(self) -> tuple[int, int]:
        """How many messages wait, and how many were set aside."""
        state = self.list.state()
        return state.waiting, state.set_aside


@pytest.fixture
def archive(valkey: Client, tmp_path: Path) -> Iterator[Archive]:
    found = Archive(valkey, tmp_path)
    yield found
    found.database.close()


def test_files_get_rows_in_the_order_of_their_messages(archive: Archive) -> None:
    archive.append(*(archive.file(f"{number}.txt") for number in range(120)))
    archive.append(write_g3_file(archive.streams, "1795862401_000.g3"))
    while archive.registrar.register_waiting():
        pass
    assert archive.names() == [*(f"{number}.txt" for number in range(120)), "1795862401_000.g3"]
    assert archive.lists() == (0, 0)
    assert archive.list.state().registered == 121
    assert {(row.archive_name, row.deletable) for row in rows(archive.path)} == {("smurf", True), ("timestreams", True)}


def test_a_file_that_is_announced_twice_has_one_row_until_it_changes(archive: Archive) -> None:
    payload = archive.file("a.txt")
    archive.append(payload, payload)
    archive.registrar.register_waiting()
    archive.append(payload)
    archive.registrar.register_waiting()
    assert archive.names() == ["a.txt"]
    archive.append(archive.file("a.txt", "another text"))
    archive.registrar.register_waiting()
    assert archive.names() == ["a.txt", "a.txt"]
    assert len({row.local_md5sum for row in rows(archive.path)}) == 2


def test_a_registrar_that_died_after_the_rows_were_written_doubles_nothing(archive: Archive) -> None:
    archive.append(archive.file("a.txt"), archive.file("b.txt"))
    with pytest.raises(KilledError):
        Registrar(Dying(archive.client, HOST), archive.database, archive.data, archive.stop).register_waiting()
    assert archive.names() == ["a.txt", "b.txt"]
    assert archive.lists() == (2, 0)
    archive.registrar.register_waiting()
    assert archive.names() == ["a.txt", "b.txt"]
    assert archive.list.state().registered == 2


def test_a_registered_file_that_suprsync_deleted_since_is_not_missed(archive: Archive) -> None:
    payload = archive.file("a.txt")
    archive.append(payload)
    archive.registrar.register_waiting()
    Path(payload["path"]).unlink()
    archive.append(payload, age_s=LONG_AGO_S)  # Redis was restored from an older copy of its data
    archive.registrar.register_waiting()
    assert archive.lists() == (0, 0)
    assert archive.names() == ["a.txt"]


def test_the_files_of_a_record_say_whether_they_are_registered(archive: Archive) -> None:
    records = Records(archive.client, 3600)
    records.start(SessionRecord("t1", op_name="run", slot="crate1slot2"))
    payloads = [archive.file("a.txt"), {**archive.file("gone.txt"), "path": str(archive.data / "gone.txt")}]
    events = [file_registered({**payload, "kind": "data_file"}, 1.0) for payload in payloads]
    records.append(Batch("t1", "bridge", 1, events))
    archive.append(*payloads, task_id="t1", age_s=LONG_AGO_S)
    archive.registrar.register_waiting()
    there, gone = records.read("t1").files
    assert there["registered"] > 1.0
    assert there["remote_path"] == f"17958/{STREAM}/1795862400_take_noise/outputs/a.txt"
    assert there["not_registered"] is None
    assert gone["registered"] is None
    assert gone["not_registered"] == f"{archive.data / 'gone.txt'}: No such file or directory"
    (archive.data / "gone.txt").write_text("came late")
    archive.registrar.register_set_aside()
    assert [file["not_registered"] for file in records.read("t1").files] == [None, None]
    assert archive.names() == ["a.txt", "gone.txt"]


def test_a_record_that_has_expired_is_not_made_again(archive: Archive) -> None:
    archive.append(archive.file("a.txt"), task_id="expired")
    archive.registrar.register_waiting()
    assert not archive.client.exists(keys.events("expired"), keys.record("expired"))


def test_a_file_that_is_not_there_yet_keeps_the_later_ones_in_order(archive: Archive) -> None:
    late = archive.file("late.txt")
    Path(late["path"]).unlink()
    archive.append(archive.file("a.txt"), late, archive.file("b.txt"))
    archive.registrar.register_waiting()
    assert archive.registrar.register_waiting() is False
    assert archive.names() == ["a.txt"]
    Path(late["path"]).write_text("late")
    archive.registrar.register_waiting()
    assert archive.names() == ["a.txt", "late.txt", "b.txt"]


def test_a_file_that_does_not_come_holds_up_nobody_for_long(archive: Archive) -> None:
    late = archive.file("late.txt")
    Path(late["path"]).unlink()
    archive.append(late, archive.file("b.txt"), age_s=registrar_module.AWAITED_S)
    archive.registrar.register_waiting()
    assert archive.names() == ["b.txt"]
    assert archive.lists() == (0, 1)
    archive.registrar.register_set_aside()
    assert archive.lists() == (0, 1)
    Path(late["path"]).write_text("late")
    archive.registrar.register_set_aside()
    assert archive.names() == ["b.txt", "late.txt"]
    assert archive.lists() == (0, 0)


def test_a_malformed_message_is_set_aside_at_once_with_its_reason(archive: Archive) -> None:
    archive.append("a text", {"path": "/data/x.txt"}, archive.file("a.txt"))
    archive.registrar.register_waiting()
    assert archive.names() == ["a.txt"]
    state = archive.list.state()
    assert (state.waiting, state.set_aside, state.registered) == (0, 2, 1)
    assert state.reason == (
        "the message of /data/x.txt has no timestamp, action_ts, action, plot, which pysmurf's register_file gives"
    )
    assert archive.list.forget_set_aside(time.time() + 1.0) == 2
    assert archive.lists() == (0, 0)


def fails(archive: Archive, said: str, waiting: int = 1) -> None:
    with pytest.raises(ArchiveUnavailableError) as caught:
        archive.registrar.register_waiting()
    assert said in str(caught.value)
    assert archive.lists() == (waiting, 0)


def test_a_locked_database_is_said_and_loses_nothing(archive: Archive) -> None:
    archive.append(archive.file("a.txt"))
    archive.registrar.register_waiting()
    archive.append(archive.file("b.txt"))
    with closing(sqlite3.connect(archive.path)) as other:
        other.execute("BEGIN IMMEDIATE")
        fails(archive, f"cannot write to {archive.path}: database is locked")
    archive.registrar.register_waiting()
    assert archive.names() == ["a.txt", "b.txt"]


def _folder_away(archive: Archive) -> Callable[[], object]:
    away = archive.path.parent.rename(archive.path.parent.with_name("unmounted"))
    return lambda: away.rename(archive.path.parent)


def _file_away(archive: Archive) -> Callable[[], object]:
    archive.database.close()
    away = archive.path.rename(archive.path.with_name("moved.db"))
    return lambda: away.rename(archive.path)


def _damaged(archive: Archive) -> Callable[[], object]:
    archive.database.close()
    copy = archive.path.with_name("copy.db")
    archive.path.rename(copy)
    archive.path.write_bytes(b"no database " * 1000)
    return lambda: copy.replace(archive.path)


@pytest.mark.parametrize(
    ("take_away", "said"),
    [
        (_folder_away, "does not exist; mount or create it"),
        (_file_away, "is missing, and files of this site were registered in it; mount or restore it"),
        (_damaged, "file is not a database"),
    ],
)
def test_a_database_that_is_away_is_said_and_no_other_takes_its_place(
    archive: Archive, take_away: Callable[[Archive], Callable[[], object]], said: str
) -> None:
    archive.append(archive.file("a.txt"))
    archive.registrar.register_waiting()
    bring_back = take_away(archive)
    archive.append(archive.file("b.txt"))
    fails(archive, said)
    bring_back()
    archive.registrar.register_waiting()
    assert archive.names() == ["a.txt", "b.txt"]


def test_a_full_disk_is_said_and_loses_nothing(archive: Archive) -> None:
    archive.path.parent.rmdir()
    with small_disk(archive.path.parent):
        archive.append(archive.file("a.txt"))
        archive.registrar.register_waiting()
        archive.database.close()
        archive.append(*(archive.file(f"{number}.txt") for number in range(40)))
        with full(archive.path.parent):
            fails(archive, "databases (0 MB free)", waiting=40)
        archive.registrar.register_waiting()
        assert archive.names() == ["a.txt", *(f"{number}.txt" for number in range(40))]
        archive.database.close()


def test_a_new_database_is_made_if_the_site_has_none_or_a_person_wants_one(archive: Archive) -> None:
    archive.append(archive.file("a.txt"))
    archive.registrar.register_waiting()
    archive.database.close()
    archive.path.unlink()
    archive.append(archive.file("b.txt"))
    fails(archive, "smurfq archive --new-database")
    archive.new = True
    archive.registrar.register_waiting()
    assert archive.names() == ["b.txt"]


def test_a_stop_in_the_midst_of_a_file_leaves_its_message(archive: Archive) -> None:
    archive.append(archive.file("a.txt"))
    archive.stop.set()
    with pytest.raises(StoppedError):
        archive.registrar.register_waiting()
    assert archive.lists() == (1, 0)
    assert archive.names() == []


def test_socs_copies_a_file_that_changed_before_it_was_copied(archive: Archive, tmp_path: Path) -> None:
    if shutil.which("rsync") is None:
        pytest.skip("socs's copier needs rsync (apt-get install rsync)")
    from socs.db.suprsync import SupRsyncFileHandler, SupRsyncFilesManager

    for text in ("first", "second", "first", "third"):
        archive.append(archive.file("a.txt", text))
        archive.registrar.register_waiting()
    archive.append(archive.file("b.txt"))
    archive.registrar.register_waiting()
    assert archive.names() == ["a.txt", "a.txt", "a.txt", "a.txt", "b.txt"]
    manager = SupRsyncFilesManager(str(archive.path))
    copied = SupRsyncFileHandler(manager, "smurf", str(tmp_path)).copy_files()
    assert [ok for _, ok in copied] == [True, True]
    assert (tmp_path / rows(archive.path)[0].remote_path).read_text() == "third"
    assert manager.get_archive_stats("smurf")["uncopied_files"] == 0
    archive.append(archive.file("a.txt", "fourth"))  # what was copied stays as it is
    archive.registrar.register_waiting()
    assert manager.get_archive_stats("smurf")["uncopied_files"] == 1
    with manager.Session.begin() as session:
        ignored = [row.ignore for row in manager.get_known_files("smurf", session=session)]
    assert ignored == [True, True, True, False, False, False]
    manager.Session.kw["bind"].dispose()


def test_socs_copies_the_files_to_where_the_monitor_would_have_put_them(archive: Archive, tmp_path: Path) -> None:
    if shutil.which("rsync") is None:
        pytest.skip("socs's copier needs rsync (apt-get install rsync)")
    from socs.db.suprsync import SupRsyncFileHandler, SupRsyncFilesManager

    payloads = [archive.file(f"{number}.txt") for number in range(5)]
    archive.append(*payloads, write_g3_file(archive.streams, "1795862401_000.g3"))
    archive.registrar.register_waiting()
    manager = SupRsyncFilesManager(str(archive.path))
    for name, number in (("smurf", 5), ("timestreams", 1)):
        target = tmp_path / "remote" / name
        target.mkdir(parents=True)
        copied = SupRsyncFileHandler(manager, name, str(target)).copy_files()
        assert [ok for _, ok in copied] == [True] * number
        assert manager.get_archive_stats(name)["uncopied_files"] == 0
        for row in rows(archive.path):
            if row.archive_name == name:
                assert (target / row.remote_path).read_bytes() == Path(row.local_path).read_bytes()
    manager.create_all_timecode_dirs("smurf")
    manager.Session.kw["bind"].dispose()
