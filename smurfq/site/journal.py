"""Stores the processes of a running site on disk, so that `smurfq down` ends only those."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from smurfq.core.private_files import make_folder
from smurfq.core.process_id import ProcessId
from smurfq.errors import StartError

State = Literal["starting", "ready", "degraded", "stopping"]


@dataclass
class Entry:
    """One process of the site; ``who`` is None while it is down."""

    name: str
    where: str
    log: str
    state: str
    who: ProcessId | None = None

    @property
    def alive(self) -> bool:
        """Return whether this very process still exists."""
        return self.who is not None and self.who.alive


@dataclass
class Journal:
    """The state of a running site."""

    state: State
    who: ProcessId | None
    processes: list[Entry] = field(default_factory=list)

    @property
    def alive(self) -> bool:
        """Return whether the site supervisor still exists."""
        return self.who is not None and self.who.alive

    def left(self) -> list[Entry]:
        """Return the site's processes that still exist."""
        return [entry for entry in self.processes if entry.alive]


def journal_path(state_dir: Path) -> Path:
    """Return the file of a site's journal."""
    return state_dir / "up.json"


def read(state_dir: Path) -> Journal | None:
    """Return the journal of the site that is or was up there; None if there is none."""
    try:
        value = json.loads(journal_path(state_dir).read_text())
    except FileNotFoundError:
        return None
    entries = [Entry(**{**entry, "who": ProcessId.parse(entry["who"])}) for entry in value["processes"]]
    return Journal(value["state"], ProcessId.parse(value["who"]), entries)


def write(state_dir: Path, journal: Journal) -> None:
    """Replace the journal atomically."""
    path = journal_path(state_dir)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(asdict(journal), indent=1) + "\n")
    new.replace(path)


def remove(state_dir: Path) -> None:
    """Remove the journal of a stopped site."""
    journal_path(state_dir).unlink(missing_ok=True)


def is_locked(state_dir: Path) -> bool:
    """Return whether a process keeps a site up in this folder, regardless of the journal."""
    try:
        descriptor = os.open(_lock_path(state_dir), os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _lock_path(state_dir: Path) -> Path:
    return state_dir / "up.lock"


@contextlib.contextmanager
def only_one(state_dir: Path) -> Iterator[None]:
    """Keep other processes from starting a site in this folder, within the context.

    Raises
    ------
    StartError
        Another process starts a site there, or has started one.
    """
    make_folder(state_dir.absolute())
    descriptor = os.open(_lock_path(state_dir), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as cause:
            present = read(state_dir)
            by = f" (process {present.who.pid})" if present and present.who else ""
            raise StartError(
                f"the site in {state_dir} is already up{by}; `smurfq status` shows it, `smurfq down` ends it",
                state_dir=str(state_dir),
            ) from cause
        yield
    finally:
        os.close(descriptor)
