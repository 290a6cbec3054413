"""The processes of an operation are found by its mark, its id or its lock, and those of others are left alone."""

from __future__ import annotations

import json
import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from smurfq.host.lock import acquire, lock_path
from smurfq.host.operation_mark import mark_of, mark_on, same_card
from smurfq.host.orphans import SESSION_VARIABLE, Ended, end_orphans, end_orphans_of_card, orphans_of

NOBODY = 65534
Start = Callable[..., int]


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return lock_path(tmp_path, "crate1slot2")


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def one(mark: int | None = None, **options: object) -> int:
        process = subprocess.Popen(["sleep", "60"], **options)  # type: ignore[call-overload]
        started.append(process)
        if mark is not None:
            resource.prlimit(process.pid, resource.RLIMIT_RTTIME, (mark, mark))
        return int(process.pid)

    yield one
    for process in started:
        process.kill()
        process.wait()


def test_marks_tell_cards_and_operations_apart(tmp_path: Path, lock: Path) -> None:
    other = lock_path(tmp_path, "crate1slot3")
    assert same_card(mark_of(lock, "a"), mark_of(lock, "b"))
    assert mark_of(lock, "a") != mark_of(lock, "b")
    assert not same_card(mark_of(lock, "a"), mark_of(other, "a"))
    assert not same_card(mark_of(lock, "a"), resource.RLIM_INFINITY)
    assert not same_card(mark_of(lock, "a"), 200_000)  # as sound servers and real-time kits set it


def test_each_of_the_three_signs_is_enough(lock: Path, start: Start) -> None:
    lock.parent.mkdir()
    descriptor = acquire(lock, 0.0)
    pids = {
        start(mark_of(lock, "a"), env={}),
        start(env={SESSION_VARIABLE: "a"}),
        start(env={}, pass_fds=[descriptor]),
    }
    start(mark_of(lock, "b"), env={SESSION_VARIABLE: "b"})
    os.close(descriptor)
    assert set(orphans_of("a", lock)) == pids


def test_the_lock_is_known_by_any_path_to_it(tmp_path: Path, start: Start) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "linked").symlink_to("real")
    lock = lock_path(tmp_path / "linked", "crate1slot2")
    descriptor = acquire(lock, 0.0)
    pid = start(env={}, pass_fds=[descriptor])
    os.close(descriptor)
    assert orphans_of("a", lock) == [pid]
    assert mark_of(lock, "a") == mark_of(lock_path(tmp_path / "real", "crate1slot2"), "a")


def test_what_is_ended_is_named_and_gone(lock: Path, start: Start) -> None:
    ours, others = start(mark_of(lock, "a"), env={}), start(mark_of(lock, "b"), env={})
    assert end_orphans("a", lock) == Ended([f"sleep ({ours})"])
    assert orphans_of("b", lock) == [others]
    assert end_orphans_of_card(lock) == Ended([f"sleep ({others})"])
    assert end_orphans_of_card(lock) == Ended()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_what_cannot_be_ended_is_found_and_named(lock: Path, start: Start) -> None:
    """As a helper that was started by sudo: another user sees its mark, and may not end it."""
    pid = start(mark_of(lock, "a"), env={})
    assert mark_on(pid) == mark_of(lock, "a")
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            path = lock.resolve()
            os.setresuid(NOBODY, NOBODY, NOBODY)
            found = end_orphans_of_card(path)
            os.write(write, json.dumps([found.ended, found.remaining]).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as answer:
        assert json.loads(answer.read() or "null") == [[], [f"sleep ({pid})"]]
    os.waitpid(child, 0)


def test_what_was_done_is_told_in_words() -> None:
    assert Ended(["sleep (7)"]).describe("run") == "ended processes that run had left behind: sleep (7)"
    assert Ended([], ["sleep (7)"]).describe("run") == (
        "processes that run had left behind cannot be ended by this user: sleep (7)"
    )
