"""Old records, blocks of feeds and logs expire with all of their keys and index entries."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, cast

import pytest

from smurfq.app import app
from smurfq.core import keys, session
from smurfq.core.session import Outcome, SessionRecord
from smurfq.store import Batch, Records
from smurfq.store.connection import Client
from smurfq.store.control_requests import Request
from smurfq.store.feeds import Feeds
from smurfq.store.fence import Running
from smurfq.store.records import Update
from smurfq.tasks import run
from smurfq.tasks import test as trial
from tests.integration.records import beside
from tests.site.eventually import WITHIN_S, eventually
from tests.site.live import LiveSite
from tests.site.producer import bind

SLOT = "crate1slot2"
KEPT_S = 1000
DAY_S = 86_400.0


@pytest.fixture
def short_lived(valkey: Client, valkey_url: str) -> Client:
    """The Valkey of a site that keeps records for a thousand seconds; this process is its producer."""
    days = str((KEPT_S + 0.1) / DAY_S)
    bind({"SMURFQ_REDIS_URL": valkey_url, "SMURFQ_SLOTS": SLOT, "SMURFQ_REDIS_RESULT_EXPIRES_DAYS": days})
    return valkey


def live_through(task_id: str) -> None:
    """All that a run leaves in Redis, as its worker writes it."""
    (waiting,) = app.waiting.waiting(SLOT)
    assert waiting.task_id == task_id
    app.waiting.remove(waiting)
    running = Running(task_id, "test", SLOT, SLOT, "host", "lease", time.time(), {"id": task_id})
    assert app.fence.claim(running, "smurfq.test", 0, "worker", '{"status": "STARTED"}').ok
    app.records.start(SessionRecord(task_id, op_name="test", slot=SLOT))
    app.records.append(Batch(task_id, "w", 0, [session.data_set({"a": 1}, 1.0), session.message("hello", 2.0)]))
    app.snapshots.publish(task_id)
    app.control_requests.ask(task_id, Request("stop"))
    app.write_end(task_id, Outcome.SUCCEEDED)
    app.backend.mark_as_done(task_id, app.records.read(task_id).to_dict())
    app.control_requests.forget(task_id)
    app.fence.finished(running)


def test_an_old_record_goes_with_all_its_keys_and_from_every_index(short_lived: Client) -> None:
    old = app.submit("test", slot=SLOT).id
    live_through(old)
    left = short_lived.keys(f"*{old}*")
    assert {keys.record(old), keys.data(old), keys.events(old), keys.meta(old)} <= set(left)
    for key in left:
        assert 0 < short_lived.ttl(key) <= KEPT_S, key
        short_lived.pexpire(key, 1)  # its time is over
    indices = (keys.HISTORY, keys.history(SLOT))
    for index in indices:
        assert short_lived.zrange(index, 0, -1) == [old]
        short_lived.zadd(index, {old: time.time() - KEPT_S - 1})
    eventually(lambda: short_lived.keys(f"*{old}*") == [], what="it expires")
    assert app.records.history() == []
    new = app.submit("test", slot=SLOT).id
    for index in (*indices, keys.WAITING):
        assert short_lived.zrange(index, 0, -1) == [new]


def test_the_data_live_as_long_as_their_record(valkey: Client) -> None:
    """They may have been written long before its end."""
    records = Records(valkey, 100)
    for task_id, by_worker in (("one", True), ("two", False)):
        records.start(SessionRecord(task_id, op_name="test", slot=SLOT))
        records.append(Batch(task_id, "w", 0, [session.data_set({"a": 1}, 1.0)]))
        valkey.expire(keys.data(task_id), 5)
        ended = session.ended(3.0, Outcome.SUCCEEDED)
        if by_worker:
            records.append(Batch(task_id, "w", 1, [ended]))
        else:
            assert records.end(task_id, "reaper", ended)
        assert valkey.ttl(keys.data(task_id)) > 90


def test_blocks_of_a_feed_go_when_they_are_too_old(valkey: Client) -> None:
    feeds = Feeds(valkey, KEPT_S)
    before_ms = int(1000 * (time.time() - KEPT_S))
    block = {"slot": SLOT, "timestamp": "1.0", "data": '{"n":1}'}
    for number in range(150):
        valkey.xadd(keys.feed("iv_results"), block, id=f"{before_ms - 200 + number}-1")  # type: ignore[arg-type]
    valkey.xadd(keys.feed("iv_results"), block, id=f"{before_ms + 600_000}-1")  # type: ignore[arg-type]
    feeds.append("iv_results", SLOT, 2.0, {"n": 2})
    assert [block.data["n"] for block in feeds.latest("iv_results", 1000)] == [2, 1]
    for key in (keys.feed("iv_results"), keys.feed_last("iv_results")):  # one that nothing is added to goes whole
        assert 0 < valkey.ttl(key) <= KEPT_S


def test_the_first_run_of_a_day_removes_the_logs_of_expired_records(site: LiveSite) -> None:
    slot = "crate1slot1"
    logs = Path(site.environ["SMURFQ_STATE_DIR"]) / "logs" / slot
    trial.delay(slot=slot).get(timeout=WITHIN_S)
    today = [day for day in logs.iterdir() if day.is_dir()]
    for name, days in (("old", 40), ("young", 20)):
        day = logs / time.strftime("%Y%m%d", time.gmtime(time.time() - days * DAY_S))
        day.mkdir()
        (day / f"120000_test_{name}.log").touch()
    for day in today:
        day.rename(logs / f"away-{day.name}")
    record = run.delay(slot=slot, script=site.script("one.py", "print('one')")).get(timeout=WITHIN_S)
    assert Path(record["log_file"]).read_text() == "one\n"
    assert [path.stem for path in logs.glob("*/120000_test_*.log")] == ["120000_test_young"]


def test_a_clock_in_the_data_leaves_nothing_in_the_events(valkey: Client) -> None:
    """A stream writes the time each second, for hours."""
    records = Records(valkey, 100)
    records.start(SessionRecord("one", op_name="stream", slot=SLOT))
    records.append(Batch("one", "w", 0, [session.data_set({"stream_on": True}, 1.0)]))
    before = valkey.xlen(keys.events("one"))
    for number in range(1, 50):
        records.append(Batch("one", "w", number, [session.data_shown({"last_updated": float(number)}, number)]))
    assert valkey.xlen(keys.events("one")) == before
    assert records.read("one").data == {"stream_on": True, "last_updated": 49.0}


def test_a_record_that_is_over_takes_the_room_that_it_needs(valkey: Client) -> None:
    records = Records(valkey, 100)
    records.start(SessionRecord("one", op_name="test", slot=SLOT))
    records.append(Batch("one", "w", 0, [session.message("hello", 1.0)]))
    events = cast(list[tuple[str, Any]], valkey.xrange(keys.events("one")))
    room = valkey.memory_usage(keys.events("one"))
    followed: list[Update] = []
    with beside(lambda: followed.extend(records.updates_after({"one": events[-1][0]}, 9000)["one"])):
        eventually(lambda: any("b" in client["flags"] for client in valkey.client_list()), what="somebody follows")
        assert records.end("one", "end", session.ended(2.0, Outcome.SUCCEEDED))
    assert valkey.memory_usage(keys.events("one")) < room / 2  # type: ignore[operator]
    assert cast(list[Any], valkey.xrange(keys.events("one")))[:-1] == events
    assert [update.writer for update in followed] == ["end"], "who waited for its end is told"
    assert 0 < valkey.ttl(keys.events("one")) <= 100
    assert valkey.keys("*:copy") == []
