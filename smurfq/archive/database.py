"""Writes rows to the SupRsync database, through socs, so that each file has one row however often it is announced."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from smurfq.archive.placement import Placement
from smurfq.errors import ArchiveUnavailableError, StartError
from smurfq.host.disk_space import is_low, room


class Checked(NamedTuple):
    """A file to register: its place, and its MD5; None if there is no file on this machine."""

    placement: Placement
    md5: str | None


class ArchiveDatabase:
    """The SupRsync database of a site.

    Parameters
    ----------
    path
        The path of the sqlite database.
    may_create
        Called if the database does not exist. If it returns false, the database has existed, and a new one would hide
        that its rows are missing.

    Raises
    ------
    StartError
        socs is not installed.
    """

    def __init__(self, path: Path, may_create: Callable[[], bool]) -> None:
        self.path = path.absolute()
        self._may_create = may_create
        self._socs = _socs()
        self._manager: Any = None
        self._file: tuple[int, int] | None = None

    def register(self, files: Sequence[Checked]) -> list[bool]:
        """Write a row for each file that has none, in one transaction; return for each whether it has a row now.

        A file without MD5 gets no row. It has one already if it was registered and then deleted.

        Raises
        ------
        ArchiveUnavailableError
            The database is locked, missing, damaged or full. No row was written, or all were.
        """
        with self._errors():
            manager = self._opened()
            with manager.Session.begin() as session:
                session.connection().exec_driver_sql("BEGIN IMMEDIATE")  # nobody else writes between look-up and write
                found = self._add_rows(session, files)
            if self._identity() != self._file:
                raise ArchiveUnavailableError(f"{self.path} was replaced while rows were written to it")
        return found

    def close(self) -> None:
        """Close the connections."""
        if self._manager is not None:
            self._manager.Session.kw["bind"].dispose()
            self._manager = None

    def _add_rows(self, session: Any, files: Sequence[Checked]) -> list[bool]:
        row = self._socs.SupRsyncFile
        rows: dict[tuple[str, str, str], list[Any]] = {}  # those of each file, the oldest first
        wanted = {one.placement.remote_path for one in files}
        for one in session.query(row).filter(row.remote_path.in_(wanted)).order_by(row.id):
            rows.setdefault((one.local_path, one.remote_path, one.archive_name), []).append(one)
        found = []
        for (local, remote, archive, deletable), md5 in files:
            earlier = rows.setdefault((local, remote, archive), [])
            if md5 is not None and not (earlier and earlier[-1].local_md5sum == md5 and earlier[-1].removed is None):
                _ignore_outdated(earlier)
                new = self._socs.create_file(local, remote, archive, local_md5sum=md5, deletable=deletable)
                session.add(new)
                earlier.append(new)
            found.append(bool(earlier))
        return found

    def _opened(self) -> Any:
        """Return socs's manager of the database, opened again if it is another file than before."""
        present = self._identity()
        if self._manager is not None and present == self._file:
            return self._manager
        self.close()
        if not self.path.parent.is_dir():
            raise ArchiveUnavailableError(f"the folder of {self.path} does not exist; mount or create it")
        if present is None and not self._may_create():
            raise ArchiveUnavailableError(
                f"{self.path} is missing, and files of this site were registered in it; mount or restore it, or start "
                "a new one with `smurfq archive --new-database`"
            )
        manager = self._socs.SupRsyncFilesManager(str(self.path))
        self._manager, self._file = manager, self._identity()
        return manager

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    @contextmanager
    def _errors(self) -> Iterator[None]:
        from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 - an optional dependency

        try:
            yield
        except (SQLAlchemyError, OSError) as cause:
            self.close()
            if isinstance(cause, ArchiveUnavailableError):
                raise
            reason = str(getattr(cause, "orig", None) or cause)
            raise ArchiveUnavailableError(f"cannot write to {self.path}: {reason}{_space(self.path.parent)}") from cause


def _ignore_outdated(rows: Sequence[Any]) -> None:
    """Let SupRsync ignore rows that it has not copied: their content is gone, so that no copy would match it."""
    for row in rows:
        if row.remote_md5sum != row.local_md5sum:
            row.ignore = True


def _space(folder: Path) -> str:
    """Describe the free space if there is little: sqlite calls a full disk a "disk I/O error"."""
    with contextlib.suppress(OSError):
        return f"; {room(folder)}" if is_low(folder) else ""
    return ""


def _socs() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # socs imports declarative_base from its older place
        try:
            from socs.db import suprsync  # noqa: PLC0415 - an optional dependency
        except ImportError as cause:
            raise StartError(
                f"the registrar needs the package socs: pip install 'smurfq[archive]' ({cause})"
            ) from cause
    return suprsync
