"""Real processes of a site are started, watched, and ended with all their descendants."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from smurfq.config import load
from smurfq.errors import StartError
from smurfq.site import services
from smurfq.site import watched as watching
from smurfq.site.child import Child, Service
from smurfq.site.ports import Kind, free_port, require_free
from smurfq.site.watched import Watched
from tests.site.eventually import eventually
from tests.site.process_group import ROOT, lives

MakeChild = Callable[..., Child]


def service(command: Sequence[str], ready: Callable[[int], bool] = lambda pid: True) -> Service:
    return Service("some thing", command, "here", "its sign", ready, stop_s=1.0)


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Callable[..., Child]]:
    started: list[Child] = []

    def make(script: str, ready: Callable[[int], bool] = lambda pid: True) -> Child:
        found = Child(service([sys.executable, "-c", script], ready), tmp_path / "logs")
        started.append(found)
        return found

    yield make
    for one in started:
        one.kill()


def test_a_child_does_not_get_variables_that_are_withheld(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flower's password is not for what runs other people's scripts."""
    monkeypatch.setenv("SMURFQ_FLOWER_PASSWORD", "hunter2")
    slots = services.worker_service(load({"SMURFQ_STATE_DIR": str(tmp_path)}), ["crate1slot2"])
    command = [sys.executable, "-c", "import os; print(dict(os.environ))"]
    for withheld in (slots.withheld, ()):
        one = Child(replace(service(command), withheld=withheld), tmp_path / "logs")
        one.start()
        eventually(lambda: one.exit_code == 0)
        assert ("hunter2" in one.log_tail()[-1]) is (withheld == ())


def test_its_log_tail_is_of_its_last_start(child: MakeChild) -> None:
    one = child("print('hello from', __import__('os').getpid())")
    for _ in range(2):
        one.start()
        eventually(lambda: one.exit_code == 0)
        assert one.log_tail() == [f"hello from {one.pid}"]
    assert one.log_path.name == "some-thing.log"
    assert len(one.log_path.read_text().splitlines()) == 2


def test_it_is_ready_when_its_service_says_so_and_an_error_means_no(child: MakeChild) -> None:
    answers: list[object] = [ConnectionRefusedError(), False, True]

    def ready(pid: int) -> bool:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return bool(answer)

    one = child("import time; time.sleep(600)", ready)
    assert not one.ready()
    one.start()
    assert [one.ready(), one.ready(), one.ready()] == [False, False, True]


def test_kill_takes_all_that_it_started_along(child: MakeChild, tmp_path: Path) -> None:
    note = tmp_path / "pids"
    script = (
        "import os, subprocess, time\n"
        "inner = subprocess.Popen(['sleep', '600'])\n"
        "outer = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        f"open({str(note)!r} + '.new', 'w').write(f'{{inner.pid}} {{outer.pid}}')\n"
        f"os.rename({str(note)!r} + '.new', {str(note)!r})\n"
        "time.sleep(600)\n"
    )
    one = child(script)
    one.start()
    eventually(note.exists)
    pids = [int(pid) for pid in note.read_text().split()]
    one.kill()
    assert one.exit_code == -signal.SIGKILL
    eventually(lambda: not any(lives(pid) for pid in pids))


def test_it_gets_sigterm_when_its_starter_is_killed(tmp_path: Path) -> None:
    """The starter here is a process of its own, which is killed without a chance to end anything."""
    note = tmp_path / "pid"
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from smurfq.site.child import Child, Service\n"
        "one = Child(Service('x', ['sleep', '600'], '', '', lambda pid: True, 1.0), Path(sys.argv[1]))\n"
        "one.start()\n"
        "print(one.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        assert lives(pid)
        starter.kill()
        starter.wait()
        eventually(lambda: not lives(pid))
    assert not note.exists()


class Clock:
    """A clock that a test turns."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


def test_one_that_dies_is_reported_with_its_log_and_started_again_after_growing_pauses(
    child: MakeChild, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(watching, "time", clock)
    monkeypatch.setattr(watching, "FIRST_PAUSE_S", 1.0)
    monkeypatch.setattr(watching, "LONGEST_PAUSE_S", 4.0)
    said: list[str] = []
    one = Watched(child("print('no card'); raise SystemExit(3)", lambda pid: False))
    one.start()
    for pause_s in (1, 2, 4, 4, 4):
        eventually(lambda: not one.child.running)
        one.look(said.append)
        assert f"some thing will be restarted in {pause_s} s" in said[-1]
        starts = one.child.started_at
        clock.now += pause_s - 0.01
        one.look(said.append)
        assert one.child.started_at == starts
        clock.now += 0.01
        one.look(said.append)
        assert one.child.started_at != starts
    assert "ended with exit code 3" in said[0]
    assert "no card" in said[0]


@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_a_port_is_free_or_told_with_its_owner(kind: Kind) -> None:
    port = free_port(kind)
    require_free(kind, "127.0.0.1", port, "a thing", "SMURFQ_X")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", port))
        if kind == "tcp":
            taken.listen()
        with pytest.raises(StartError) as caught:
            require_free(kind, "127.0.0.1", port, "a thing", "SMURFQ_X")
    text = str(caught.value)
    assert f"a thing cannot listen on {kind.upper()} 127.0.0.1:{port}" in text
    assert f"(process {os.getpid()}," in text
    assert "set SMURFQ_X" in text
