"""Each way to name a slot accepts its place and its stream id, where only its worker knows the stream id."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from smurfq import tasks
from smurfq.app import app
from smurfq.client import Slot, Slots
from smurfq.client.connection import Connection
from smurfq.config import load
from smurfq.core import message_headers
from smurfq.errors import UnknownSlotError
from smurfq.ocs import OCSClient
from smurfq.workflows import Workflow
from tests.site.commands import smurfq
from tests.site.eventually import WITHIN_S
from tests.site.live import LiveSite, stream_id
from tests.site.producer import bind

SLOT, OTHER = "crate1slot2", "crate1slot3"
STREAM_ID = stream_id(SLOT)
BOTH = f"{SLOT} ({STREAM_ID})"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSite]:
    """A worker of a slot. Afterwards, this process is a producer that knows no stream id."""
    with LiveSite(tmp_path_factory.mktemp("names") / "site", SMURFQ_SLOTS=f"{SLOT} {OTHER}") as live:
        live.start_cards()
        live.start_bridge(wait=False)
        live.start_worker(SLOT)
        live.environ["SMURFQ_SLOTS"] = f"{SLOT} {OTHER}"
        bind(live.environ)
        yield live


@pytest.fixture
def at(site: LiveSite) -> Connection:
    settings = load(site.environ)
    assert settings.stream_ids == {SLOT: SLOT, OTHER: OTHER}
    return Connection(settings)


def told(site: LiveSite, *arguments: str) -> str:
    done = smurfq(site.environ, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_the_client_finds_a_slot_by_its_stream_id(at: Connection) -> None:
    slot = Slot(STREAM_ID, connection=at)
    assert (slot.slot, slot.stream_id, str(slot)) == (SLOT, STREAM_ID, BOTH)
    record = slot.submit("test").wait(WITHIN_S)
    assert (record.slot, record.stream_id, record.where) == (SLOT, STREAM_ID, BOTH)
    assert list(Slots([STREAM_ID, OTHER], connection=at).status()) == [SLOT, OTHER]
    assert Slots(connection=at)[STREAM_ID].slot == SLOT
    assert slot.status().to_dict()["stream_id"] == STREAM_ID
    assert slot.status().workers[0].about["stream_id"] == STREAM_ID
    with pytest.raises(UnknownSlotError, match=f"known are crate1slot2 .{STREAM_ID}., crate1slot3"):
        Slot("ufm_mv99", connection=at)


@pytest.mark.parametrize("name", [SLOT, STREAM_ID])
def test_celery_takes_either_name(site: LiveSite, name: str) -> None:
    sent = [
        tasks.test.delay(slot=name),
        tasks.test.s(slot=name).apply_async(),
        app.send_task("smurfq.test", kwargs={"slot": name}),
        app.submit("test", slot=name),
    ]
    for result in sent:
        assert result.get(timeout=WITHIN_S)["slot"] == SLOT
    for wrong in (lambda: tasks.test.s(slot="ufm_mv99"), lambda: app.submit("test", slot="ufm_mv99")):
        with pytest.raises(UnknownSlotError):
            wrong()


def test_a_run_for_a_module_that_moved_while_it_waited_is_rejected(site: LiveSite, at: Connection) -> None:
    told(site, "hold", "--slot", SLOT, "--owner", "ann")
    try:
        Slot(STREAM_ID, connection=at).submit("test")
        tasks.test.delay(slot=STREAM_ID)
        told(site, "submit", "test", "--slot", STREAM_ID)
        waiting = at.queues.waiting(SLOT)
        assert [one.headers[message_headers.STREAM_ID] for one in waiting] == [STREAM_ID] * 3
    finally:
        told(site, "release", "--slot", SLOT, "--owner", "ann")
    moved = {message_headers.STREAM_ID: "ufm_mv99"}
    with pytest.raises(UnknownSlotError, match=f"'ufm_mv99', which was in {SLOT} then; now this slot is {SLOT}"):
        app.send_task("smurfq.test", kwargs={"slot": SLOT}, headers=moved).get(timeout=WITHIN_S)
    emergency = app.submit("test", slot=SLOT, emergency=True, headers=moved)
    assert emergency.get(timeout=WITHIN_S)["success"], "the card in that place is meant"


def test_the_command_takes_either_name_and_shows_both(site: LiveSite) -> None:
    assert f"test on {BOTH}" in told(site, "submit", "test", "--slot", STREAM_ID, "--follow")
    assert BOTH in told(site, "history", "--slot", STREAM_ID)
    assert f"{BOTH} is held by ann" in told(site, "hold", "--slot", STREAM_ID, "--owner", "ann")
    try:
        queued = json.loads(told(site, "submit", "test", "--slot", STREAM_ID, "--json"))
        assert (queued["status"], queued["slot"], queued["stream_id"]) == ("queued", SLOT, STREAM_ID)
        assert BOTH in told(site, "queue", "list", "--slot", STREAM_ID)
        status = told(site, "status", "--slot", STREAM_ID)
        assert f"{BOTH}  worker alive" in status
        assert f"{BOTH} is held by ann" in status
        watched = told(site, "watch", "--slot", STREAM_ID, "--once")
        assert STREAM_ID in watched
        assert "held by ann" in watched
        (row,) = json.loads(told(site, "watch", "--slot", STREAM_ID, "--once", "--json"))
        assert (row["slot"], row["stream_id"]) == (SLOT, STREAM_ID)
    finally:
        assert f"{BOTH} is released" in told(site, "release", "--slot", STREAM_ID, "--owner", "ann")
    assert f"{BOTH} is locked by ann" in told(site, "lock", "--slot", STREAM_ID, "--owner", "ann")
    assert f"{BOTH} is unlocked" in told(site, "unlock", "--slot", STREAM_ID, "--owner", "ann")


@pytest.mark.parametrize("instance", [STREAM_ID, f"pysmurf-controller-{STREAM_ID.replace('_', '-')}", "c1s2"])
def test_an_ocs_client_takes_either_name(at: Connection, instance: str) -> None:
    client: Any = OCSClient(instance, settings=at.settings)
    assert client.test.start().status == 0
    assert client.test.wait(timeout=WITHIN_S).session["success"] is True
    entry = OCSClient("registry", settings=at.settings).main.status().session["data"]
    assert entry[f"observatory.pysmurf-controller-{SLOT}"]["stream_id"] == STREAM_ID


def test_a_workflow_takes_either_name(at: Connection) -> None:
    for name in (STREAM_ID, SLOT, f"pysmurf-controller-{STREAM_ID.replace('_', '-')}", 2):
        assert Workflow([name], connection=at).targets == [SLOT]
    with Workflow([STREAM_ID], connection=at) as workflow:
        assert list(workflow.run("test").slots) == [SLOT]
        workflow.dropped[SLOT] = "a reason"
        workflow.forgive(STREAM_ID)
        assert workflow.left == [SLOT]


def test_a_run_publishes_under_the_stream_id(site: LiveSite, at: Connection) -> None:
    script = site.script("says.py", "import os\nprint(os.environ['SMURFPUB_ID'])\n")
    record = Slot(SLOT, connection=at).submit("run", script=script).wait(WITHIN_S)
    assert record.log.strip() == STREAM_ID
