"""The journal of a running site, and the lock that allows only one site in a folder."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from smurfq.core.process_id import ProcessId
from smurfq.errors import StartError
from smurfq.site import journal
from smurfq.site.journal import Entry, Journal


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    who = ProcessId.of(os.getpid())
    written = Journal("ready", who, [Entry("bridge", "udp", "bridge.log", "ready", who), Entry("x", "", "", "down")])
    journal.write(tmp_path, written)
    assert journal.read(tmp_path) == written
    assert written.alive
    assert [entry.name for entry in written.left()] == ["bridge"]
    journal.remove(tmp_path)
    assert journal.read(tmp_path) is None


def test_a_journal_of_an_earlier_version_names_no_process(tmp_path: Path) -> None:
    """It had the time of day of each start, which a step of the clock changes."""
    who = [os.getpid(), 1764200000.5]
    entry = {"name": "bridge", "where": "", "log": "", "state": "ready", "who": who}
    journal.journal_path(tmp_path).write_text(json.dumps({"state": "ready", "who": who, "processes": [entry]}))
    found = journal.read(tmp_path)
    assert found is not None
    assert not found.alive
    assert found.left() == []


def test_a_running_site_is_detected_without_a_journal(tmp_path: Path) -> None:
    assert not journal.is_locked(tmp_path)
    with journal.only_one(tmp_path):
        assert journal.is_locked(tmp_path)
    assert not journal.is_locked(tmp_path)


def test_only_one_at_a_time(tmp_path: Path) -> None:
    with journal.only_one(tmp_path / "state"):
        journal.write(tmp_path / "state", Journal("ready", ProcessId(4711, "", 1)))
        with (
            pytest.raises(StartError, match=r"is already up \(process 4711\); `smurfq status`"),
            journal.only_one(tmp_path / "state"),
        ):
            pass
    with journal.only_one(tmp_path / "state"):
        pass


def test_a_state_folder_is_for_its_owner_only_unless_it_was_there(tmp_path: Path) -> None:
    new, there = tmp_path / "a" / "state", tmp_path / "there"
    there.mkdir(mode=0o750)
    for folder in (new, there):
        with journal.only_one(folder):
            pass
    assert (stat.S_IMODE(new.stat().st_mode), stat.S_IMODE(there.stat().st_mode)) == (0o700, 0o750)
