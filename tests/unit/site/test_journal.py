"""The note of what runs, and that only one site is brought up in a folder."""

from __future__ import annotations

import os
import signal
import stat

import pytest

from smurfq.errors import StartError
from smurfq.site import journal
from smurfq.site.journal import Entry, Journal


def test_it_is_read_as_it_was_written(tmp_path):
    who = journal.who(os.getpid())
    written = Journal("ready", who, [Entry("bridge", "udp", "bridge.log", "ready", who), Entry("x", "", "", "down")])
    journal.write(tmp_path, written)
    assert journal.read(tmp_path) == written
    assert written.alive
    assert [entry.name for entry in written.left()] == ["bridge"]
    journal.remove(tmp_path)
    assert journal.read(tmp_path) is None


def test_another_process_with_the_same_number_is_not_meant():
    who = journal.who(os.getpid())
    assert who is not None
    stranger = [who[0], who[1] - 10]
    assert not Entry("x", "", "", "ready", stranger).alive
    assert not journal.send(stranger, signal.SIGKILL)
    assert not journal.send(None, signal.SIGKILL)


def test_only_one_at_a_time(tmp_path):
    with journal.only_one(tmp_path / "state"):
        journal.write(tmp_path / "state", Journal("ready", [4711, 1.0]))
        with (
            pytest.raises(StartError, match=r"is already up \(process 4711\); `smurfq status`"),
            journal.only_one(tmp_path / "state"),
        ):
            pass
    with journal.only_one(tmp_path / "state"):
        pass


def test_a_state_folder_is_for_its_owner_only_unless_it_was_there(tmp_path):
    new, there = tmp_path / "a" / "state", tmp_path / "there"
    there.mkdir(mode=0o750)
    for folder in (new, there):
        with journal.only_one(folder):
            pass
    assert (stat.S_IMODE(new.stat().st_mode), stat.S_IMODE(there.stat().st_mode)) == (0o700, 0o750)
