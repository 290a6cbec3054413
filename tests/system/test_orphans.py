"""A process that hides ends before the next run, however its worker was killed."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from smurfq.app import app
from smurfq.core.session import SessionRecord
from smurfq.core.slot import publisher_id
from smurfq.host.lock import lock_path
from smurfq.host.operation_mark import mark_of
from smurfq.tasks import run
from tests.site.eventually import WITHIN_S, eventually
from tests.site.live import LiveSite

SLOT = "crate1slot3"

# What a helper does: it appends the time to its file, as if it wrote to the card; the file's first line is its id.
DRIVE = """
import os, sys, time
if "double" in sys.argv[2:]:
    for _ in range(2):
        if os.fork():
            os._exit(0)
        os.setsid()
    os.closerange(0, 4096)
while True:
    with open(sys.argv[1], "a") as file:
        file.write(f"{os.getpid()} {time.monotonic()}\\n")
    time.sleep(0.01)
"""
CLEAN = {"env": {"PATH": "/usr/bin:/bin"}}
HELPERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "clean-environment": CLEAN,
    "new-session": {**CLEAN, "start_new_session": True},
    "double-fork": {**CLEAN, "start_new_session": True},
}
START = f"""
import subprocess, sys, time
for name, options in {HELPERS!r}.items():
    subprocess.Popen([sys.executable, "-S", "-c", {DRIVE!r}, sys.argv[1] + "/" + name, name.split("-")[0]], **options)
print("started", flush=True)
time.sleep(300)
"""
NEXT = "import time\nprint(time.monotonic(), flush=True)\ntime.sleep(0.2)\n"


class Helpers:
    """The helpers that one run has started, which write to files of one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _lines(self, name: str) -> list[list[str]]:
        path = self.folder / name
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def started(self) -> bool:
        return all(len(self._lines(name)) > 1 for name in HELPERS)

    def pids(self) -> dict[str, int]:
        return {name: int(lines[-1][0]) for name in HELPERS if (lines := self._lines(name))}

    def wrote_last(self) -> dict[str, float]:
        return {name: float(self._lines(name)[-1][1]) for name in HELPERS}


@pytest.fixture
def helpers(tmp_path: Path) -> Iterator[Helpers]:
    """No helper outlives its test, whatever smurfq does."""
    found = Helpers(tmp_path)
    yield found
    for pid in found.pids().values():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def worker(site: LiveSite) -> Iterator[Any]:
    process = site.start_worker(SLOT)
    yield process
    site.stop(process)


def messages(record: SessionRecord) -> str:
    return "\n".join(str(text) for _, text in record.messages)


def start_helpers(site: LiveSite, helpers: Helpers) -> Any:
    """A run that goes on, and has started the helpers."""
    task = run.delay(slot=SLOT, script=site.script("starts_helpers.py", START), args=[str(helpers.folder)])
    eventually(helpers.started, what="all helpers write")
    return task


def run_next(site: LiveSite) -> tuple[float, SessionRecord]:
    """When the next run began, by the clock of the helpers, and its record."""
    task = run.delay(slot=SLOT, script=site.script("next.py", NEXT))
    task.get(timeout=WITHIN_S)
    record = app.records.read(task.id)
    return float(record.log), record


def pool_child(site: LiveSite) -> int:
    (child,) = psutil.Process(site.worker_pid(SLOT)).children()
    return child.pid


@pytest.mark.parametrize("victims", ["pool child", "lane", "lane and pool child", "whole worker"])
def test_helpers_of_a_killed_worker_end_before_the_next_run(
    site: LiveSite, worker: Any, helpers: Helpers, victims: str
) -> None:
    task = start_helpers(site, helpers)
    lane, child = site.worker_pid(SLOT), pool_child(site)
    for pid in {
        "pool child": [child],
        "lane": [lane],
        "lane and pool child": [lane, child],
        "whole worker": [worker.pid, lane, child],
    }[victims]:
        os.kill(pid, signal.SIGKILL)
    again = site.start_worker(SLOT, "worker-again") if victims == "whole worker" else None
    began, _ = run_next(site)
    assert max(helpers.wrote_last().values()) < began, helpers.wrote_last()
    told = messages(app.records.read(task.id))
    assert "left behind" in told
    for name, pid in helpers.pids().items():
        assert f"({pid})" in told, f"{name}: {told}"
    if again is not None:
        site.stop(again)


def test_helpers_are_found_though_redis_has_forgotten_their_run(site: LiveSite, worker: Any, helpers: Helpers) -> None:
    start_helpers(site, helpers)
    worker.kill()
    worker.wait(WITHIN_S)
    app.store.delete(f"smurfq:running:{publisher_id(SLOT, 'control')}")
    again = site.start_worker(SLOT, "worker-again")
    began, record = run_next(site)
    assert max(helpers.wrote_last().values()) < began
    for name, pid in helpers.pids().items():
        assert f"({pid})" in messages(record), name
    assert "the card was left unsafe" in messages(record)
    site.stop(again)


def test_only_the_helpers_of_the_slots_own_lane_are_ended(site: LiveSite, worker: Any) -> None:
    """The other lane of the slot runs beside this one, and what it runs is not this one's to end."""
    lock = lock_path(app.settings.state_dir, publisher_id(SLOT, "state"))
    with subprocess.Popen(["sleep", "90"]) as other:
        mark = mark_of(lock, "another")
        resource.prlimit(other.pid, resource.RLIMIT_RTTIME, (mark, mark))
        run_next(site)
        assert other.poll() is None
        other.kill()
