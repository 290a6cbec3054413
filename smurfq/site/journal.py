"""The note on disk of a site that is up: its processes, so that `smurfq down` ends those and no others."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import psutil

from smurfq.core.private_files import make_folder
from smurfq.errors import StartError
from smurfq.runner.processes import identity, same

State = Literal["starting", "ready", "degraded", "stopping"]


@dataclass
class Entry:
    """One process of the site. ``who`` is its id and start time; None while it is down."""

    name: str
    where: str
    log: str
    state: str
    who: list[float] | None = None

    @property
    def alive(self) -> bool:
        """Whether just this process is still there."""
        return _lives(self.who)


@dataclass
class Journal:
    """What a site that is up says of itself."""

    state: State
    who: list[float] | None
    processes: list[Entry] = field(default_factory=list)

    @property
    def alive(self) -> bool:
        """Whether the process that watches the site is still there."""
        return _lives(self.who)

    def left(self) -> list[Entry]:
        """Those of the site's processes that are still there."""
        return [entry for entry in self.processes if entry.alive]


def journal_path(state_dir: Path) -> Path:
    """Where a site's journal is."""
    return state_dir / "up.json"


def read(state_dir: Path) -> Journal | None:
    """The journal of the site that is, or was, up there; None if there is none."""
    try:
        value = json.loads(journal_path(state_dir).read_text())
    except FileNotFoundError:
        return None
    return Journal(value["state"], value["who"], [Entry(**entry) for entry in value["processes"]])


def write(state_dir: Path, journal: Journal) -> None:
    """Replace the journal, in one step."""
    path = journal_path(state_dir)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(asdict(journal), indent=1) + "\n")
    new.replace(path)


def remove(state_dir: Path) -> None:
    """Remove the journal of a site that is down."""
    journal_path(state_dir).unlink(missing_ok=True)


def who(pid: int | None) -> list[float] | None:
    """A process as the journal names it: by its id and its start time."""
    return identity(pid) if pid is not None else None


def _lives(who: list[float] | None) -> bool:
    """Whether a process is there, and not dead and only waiting for its parent to notice."""
    if who is None or not same(who):
        return False
    try:
        return bool(psutil.Process(int(who[0])).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def send(who: list[float] | None, number: signal.Signals) -> bool:
    """Send a signal to just this process; false if it is gone, even if another one has its id by now."""
    if who is None:
        return False
    try:
        descriptor = os.pidfd_open(int(who[0]))
    except ProcessLookupError:
        return False
    try:
        if not same(who):
            return False
        signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)
    return True


@contextlib.contextmanager
def only_one(state_dir: Path) -> Iterator[None]:
    """Within: no other process brings up a site in this folder.

    Raises
    ------
    StartError
        Another one does, or has.
    """
    make_folder(state_dir.absolute())
    descriptor = os.open(state_dir / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as cause:
            present = read(state_dir)
            by = f" (process {int(present.who[0])})" if present and present.who else ""
            raise StartError(
                f"the site in {state_dir} is already up{by}; `smurfq status` shows it, `smurfq down` ends it",
                state_dir=str(state_dir),
            ) from cause
        yield
    finally:
        os.close(descriptor)
