"""Registers the files of the archive list in the SupRsync database, in the order of their messages."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import Any, Final, NamedTuple

from smurfq.archive.checksum import md5_of
from smurfq.archive.database import ArchiveDatabase, Checked
from smurfq.archive.placement import Placement, local_path, place
from smurfq.errors import MessageError
from smurfq.store.archive_list import ArchiveList, FileMessage, ListedFile, SettledFile

AWAITED_S: Final = 10.0  # the messages behind one whose file is not there wait for so long, counted from its arrival
FILES_AT_ONCE: Final = 50
READING_S: Final = 2.0  # no further file is read for the same transaction after this time
log = logging.getLogger("smurfq.archive")


class _Examined(NamedTuple):
    """A listed file: its place and checksum as far as it has them, and what is wrong with it."""

    listed: ListedFile
    placement: Placement | None
    md5: str | None
    fault: str


class Registrar:
    """Takes messages from the archive list, and removes them once their files are registered or they are set aside.

    The methods raise ``ArchiveUnavailableError`` if the database cannot be written, the errors of redis-py, and
    ``StoppedError``. In each case the messages stay in the list.
    """

    def __init__(
        self, archive: ArchiveList, database: ArchiveDatabase, smurf_data_dir: Path, stop: threading.Event
    ) -> None:
        self._archive = archive
        self._database = database
        self._smurf_data_dir = smurf_data_dir
        self._stop = stop

    def register_waiting(self) -> bool:
        """Register the oldest waiting files; return false if there are none, or the oldest is not there yet."""
        examined: list[_Examined] = []
        enough_at = time.monotonic() + READING_S
        for listed in self._archive.oldest(FILES_AT_ONCE):
            one = self._examine(listed)
            if one.placement is not None and one.md5 is None and _may_come(listed.message):
                break  # the later files wait, so that the rows have the order of the messages
            examined.append(one)
            if time.monotonic() > enough_at:
                break
        settled = self._settled(examined)
        self._archive.settle(settled, str(self._database.path))
        for done in settled:
            if done.reason:
                log.warning("set aside, and not in the archive: %s (of %s)", done.reason, _owner(done.listed.message))
        return bool(settled)

    def register_set_aside(self) -> None:
        """Register the files that were set aside and can be registered now."""
        for page in self._archive.set_aside(FILES_AT_ONCE):
            settled = [one for one in self._settled([self._examine(listed) for listed in page]) if not one.reason]
            self._archive.settle(settled, str(self._database.path), was_set_aside=True)
            for one in settled:
                log.info("in the archive after it was set aside: %s", one.paths[0])

    def _examine(self, listed: ListedFile) -> _Examined:
        try:
            placement = place(listed.message, self._smurf_data_dir)
        except MessageError as cause:
            return _Examined(listed, None, None, str(cause))
        try:
            return _Examined(listed, placement, md5_of(placement.local_path, self._stop), "")
        except OSError as cause:
            return _Examined(listed, placement, None, f"{placement.local_path}: {cause.strerror}")

    def _settled(self, examined: list[_Examined]) -> list[SettledFile]:
        """Write rows for the files that have a place, and return how each message was dealt with."""
        placed = [Checked(one.placement, one.md5) for one in examined if one.placement is not None]
        rows = iter(self._database.register(placed) if placed else ())
        at = time.time()
        return [_settled(one, at, has_row=one.placement is not None and next(rows)) for one in examined]


def _settled(examined: _Examined, at: float, *, has_row: bool) -> SettledFile:
    listed, placement, _, fault = examined
    if has_row and placement is not None:
        change: dict[str, Any] = {"registered": at, "remote_path": placement.remote_path, "not_registered": None}
        return SettledFile(listed, at, _names(listed.message), change)
    return SettledFile(listed, at, _names(listed.message), {"registered": None, "not_registered": fault}, fault)


def _names(message: FileMessage) -> list[str]:
    """Return the paths under which the record of a run may list a file: as published, and as it is."""
    try:
        path = local_path(message)
    except MessageError:
        return []
    return list(dict.fromkeys((message.payload["path"], path)))


def _may_come(message: FileMessage) -> bool:
    return 0 <= time.time() - message.arrival < AWAITED_S  # not if the clock was set back


def _owner(message: FileMessage) -> str:
    return f"run {message.task_id}" if message.task_id else f"publisher {message.publisher}"
