"""A site of 350 slots: reading all of them takes few round trips, and misses nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from redis.connection import Connection as RedisConnection

from smurfq.app import app
from smurfq.client import Slots
from smurfq.client.connection import Connection
from smurfq.core import keys, session
from smurfq.core.jsonsafe import dumps
from smurfq.core.session import Outcome, SessionRecord
from smurfq.pool_child.context import WorkerContext
from smurfq.reaper import Reaper
from smurfq.reaper.lost_messages import MESSAGE_GONE_S, REST
from smurfq.store.connection import Client
from tests.site.producer import bind

SLOTS = tuple(f"crate{crate}slot{slot}" for crate in range(1, 51) for slot in range(1, 8))


@pytest.fixture
def connection(valkey: Client, valkey_url: str) -> Connection:
    """A site of 350 slots without workers; this process is its producer."""
    bind({"SMURFQ_REDIS_URL": valkey_url, "SMURFQ_SLOTS": ",".join(SLOTS)})
    return Connection(app.settings)


@contextmanager
def round_trips(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How often this process has sent something to Redis."""
    count = [0]
    send = RedisConnection.send_packed_command

    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        count[0] += 1
        return send(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(RedisConnection, "send_packed_command", counted)
        yield count


def past(task_id: str, slot: str, at: float) -> None:
    """A record of a run that is over."""
    app.records.start(SessionRecord(task_id, op_name="test", slot=slot))
    app.records.end(task_id, "w", session.ended(at, Outcome.SUCCEEDED))


def test_the_status_of_all_slots_is_read_in_a_few_round_trips(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    for number in range(20):
        past(f"over-{number}", SLOTS[number % 2], now - 100 + number)
    waiting = {slot: app.submit("test", slot=slot).id for slot in (SLOTS[0], SLOTS[170], SLOTS[-1])}
    app.store.set(keys.lease(SLOTS[170]), "a worker", px=600_000)
    slots = Slots(connection=connection)
    slots.status()  # connected, and all scripts known
    with round_trips(monkeypatch) as count:
        found = slots.status()
    assert count[0] <= 20, "350 slots are read 64 at a time"
    assert list(found) == list(SLOTS)
    assert {slot: status.waiting[0].task_id for slot, status in found.items() if status.waiting} == waiting
    assert [slot for slot, status in found.items() if status.alive] == [SLOTS[170]]
    assert {slot: status.last.session_id for slot, status in found.items() if status.last} == {
        SLOTS[0]: "over-18",
        SLOTS[1]: "over-19",
    }
    for slot in (SLOTS[0], SLOTS[170], SLOTS[5]):
        assert slots[slot].status() == found[slot]


def test_looking_costs_no_more_where_the_history_is_long(
    connection: Connection, valkey: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted by Redis: the commands that it carried out for the same looks, with 50 records and with 400."""
    slot = Slots([SLOTS[0]], connection=connection)

    def commands() -> int:
        stats: Any = valkey.info("commandstats")
        return sum(told["calls"] for name, told in stats.items() if name not in ("cmdstat_ping", "cmdstat_info"))

    def cost() -> int:
        slot.status()
        connection.records.history(SLOTS[0])
        before = commands()
        slot.status()
        connection.records.history(SLOTS[0], count=20)
        connection.records.history(count=20)
        return commands() - before

    now = time.time()
    for number in range(50):
        past(f"a-{number}", SLOTS[0], now - 2000 + number)
    few = cost()
    for number in range(350):
        past(f"b-{number}", SLOTS[0], now - 1000 + number)
    assert cost() == few


def test_a_sweep_takes_few_round_trips_and_reads_only_lists_with_late_runs(
    connection: Connection, valkey: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweeper = Reaper(app)
    sweeper.sweep()
    with round_trips(monkeypatch) as count:
        assert sweeper.sweep() == []
    assert count[0] <= 5, "nothing waits for long"
    ids = [app.submit("test", slot=slot).id for slot in SLOTS[:10] for _ in range(3)]
    valkey.zadd(keys.WAITING, dict.fromkeys(ids, time.time() - MESSAGE_GONE_S - 1))
    with round_trips(monkeypatch) as count:
        assert sweeper.sweep() == []
    assert count[0] <= 10


def test_a_worker_says_again_only_what_is_new(connection: Connection, valkey: Client) -> None:
    context = WorkerContext(app, SLOTS[0], "control", "token", {})
    context.about = {"host": "smurf-srv", "pid": 12, "versions": {"pysmurf": "x" * 1000}}
    key = keys.worker(SLOTS[0])
    full = {"host": '"smurf-srv"', "pid": "12", "versions": dumps(context.about["versions"]), "held": "false"}
    context.say_alive()
    assert valkey.hgetall(key) == full
    assert valkey.ttl(key) > 0
    before = valkey.info("stats")["total_net_input_bytes"]
    context.say_alive()
    assert valkey.info("stats")["total_net_input_bytes"] - before < 1000
    context.held = True
    context.say_alive()
    assert valkey.hgetall(key) == {**full, "held": "true"}
    valkey.delete(key)  # as after an outage
    context.say_alive()
    assert valkey.hgetall(key) == {**full, "held": "true"}
    assert valkey.ttl(key) > 0


def test_looking_at_all_that_waits_leaves_most_of_the_time_to_others(
    connection: Connection, valkey: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    slots_of = app.records.slots_of

    def slowly(late: Any) -> dict[str, str]:
        now[0] += 1.0
        return slots_of(late)

    def lose() -> str:
        waiting = [app.submit("test", slot=SLOTS[0]).id for _ in range(5)]
        lost: str = app.submit("test", slot=SLOTS[1]).id
        for message in app.waiting.waiting(SLOTS[1]):
            app.waiting.remove(message)
        valkey.zadd(keys.WAITING, dict.fromkeys([*waiting, lost], time.time() - MESSAGE_GONE_S - 1))
        return lost

    monkeypatch.setattr(app.records, "slots_of", slowly)
    sweeper = Reaper(app, lambda: now[0])
    first = lose()
    assert sweeper.sweep() == [first]
    second = lose()
    now[0] += REST - 0.5
    assert sweeper.sweep() == []
    now[0] += 1.0
    assert sweeper.sweep() == [second]
