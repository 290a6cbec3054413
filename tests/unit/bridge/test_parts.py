"""The parts of the bridge that need neither a socket nor Redis."""

from __future__ import annotations

import itertools
import logging
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smurfq.bridge.attribution import Task
from smurfq.bridge.buffer import OVERHEAD_BYTES, Buffer, Chunk
from smurfq.bridge.coalescing import BURST, PAUSE_S, PROBE_AFTER, WRITES_PER_S, Coalescing
from smurfq.bridge.complaints import INTERVAL_S, Complaints
from smurfq.bridge.metrics import CountersCollector
from smurfq.bridge.mmsg import address_text
from smurfq.bridge.periodic import Periodic
from smurfq.bridge.relay import relay_address
from smurfq.bridge.snapshots import INTERVAL_S as SNAPSHOT_INTERVAL_S
from smurfq.bridge.snapshots import REST, SnapshotPace
from smurfq.bridge.steps import Drops
from smurfq.core.messages import Message
from smurfq.core.sequence import Arrival, Step
from smurfq.errors import ConfigError
from smurfq.store.bridge import Counters


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def chunk(first: int, count: int, size: int = 1) -> Chunk:
    datagrams = [str(number).encode().ljust(size) for number in range(first, first + count)]
    return Chunk(datagrams, [b""] * count, [0.0] * count, size * count)


@given(st.lists(st.integers(1, 30), max_size=40), st.integers(1, 100), st.integers(1, 500))
def test_the_buffer_keeps_order_and_the_newest_and_counts_the_rest(sizes: list[int], room: int, at_once: int) -> None:
    buffer = Buffer(room, 1 << 30)
    put = 0
    for size in sizes:
        buffer.put(chunk(put, size))
        put += size
    assert len(buffer) <= max(room, sizes[-1] if sizes else 0)
    assert len(buffer) + buffer.dropped == put
    taken: list[int] = []
    while chunks := buffer.take(at_once, 10**9, 0.0):
        taken += [int(datagram) for each in chunks for datagram in each.datagrams]
    assert taken == list(range(buffer.dropped, put))
    assert len(buffer) == 0


def test_the_buffer_is_bounded_in_bytes_too() -> None:
    buffer = Buffer(1000, 20 * (500 + OVERHEAD_BYTES))
    for first in range(0, 100, 2):
        buffer.put(chunk(first, 2, size=500))
    assert len(buffer) == 20
    assert [len(taken.datagrams) for taken in buffer.take(1000, 1500, 0.0)] == [2, 2]


def test_complaints_are_said_once_an_interval_with_their_count(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    complaints = Complaints(logging.getLogger("test"), clock)
    for number in range(100):
        complaints.add("bad", f"hint {number}")
    complaints.add("other", "hint")
    assert [record.getMessage() for record in caplog.records] == ["bad (1): hint 0", "other (1): hint"]
    complaints.say_due()
    clock.now += INTERVAL_S
    complaints.say_due()
    complaints.say_due()
    assert [record.getMessage() for record in caplog.records][2:] == ["bad (99): hint 99"]


def test_the_first_snapshot_is_at_once_and_the_last_follows_the_last_change() -> None:
    clock, published = Clock(), []
    pace = SnapshotPace(lambda task: published.append((task, clock.now)), Complaints(logging.getLogger("test")), clock)
    start = clock.now
    for _ in range(100):
        pace.touched(["t"])
        pace.publish_due()
        clock.now += 0.01
    last_change = clock.now - 0.01
    while pace.wait_s(1.0) < 1.0:
        clock.now += pace.wait_s(1.0)
        pace.publish_due()
    times = [time for _, time in published]
    assert times[0] == start
    assert last_change <= times[-1] <= last_change + SNAPSHOT_INTERVAL_S
    assert all(b - a >= SNAPSHOT_INTERVAL_S - 1e-9 for a, b in itertools.pairwise(times))


def test_snapshots_that_take_long_are_made_less_often() -> None:
    clock = Clock()

    def publish(_task: str) -> None:
        clock.now += 0.1

    pace = SnapshotPace(publish, Complaints(logging.getLogger("test")), clock)
    pace.touched(["t"])
    pace.publish_due()
    pace.touched(["t"])
    assert pace.wait_s(60.0) == pytest.approx(REST * 0.1)


def test_writes_are_not_paused_while_they_are_few() -> None:
    clock = Clock()
    coalescing = Coalescing(clock)
    for _ in range(1000):
        assert coalescing.pause_s(1, more=False) == 0.0
        clock.now += 1.01 / WRITES_PER_S


def test_writes_are_paused_under_load_but_never_while_others_wait() -> None:
    clock = Clock()
    coalescing = Coalescing(clock)
    pauses = [coalescing.pause_s(10, more=False) for _ in range(300)]
    assert not any(pauses[: int(BURST) - 1])
    assert set(pauses[int(BURST) :]) == {PAUSE_S}
    assert coalescing.pause_s(10, more=True) == 0.0


def test_who_waits_for_each_message_to_be_seen_is_hardly_slowed_down() -> None:
    coalescing = Coalescing(Clock())
    pauses = [coalescing.pause_s(1, more=False) for _ in range(1000)]
    assert 0 < sum(pause > 0 for pause in pauses) <= 1000 / PROBE_AFTER


def test_drops_are_told_as_they_grow_and_since_a_time() -> None:
    count = 0
    drops = Drops(lambda: count)
    assert drops.grown(1.0) == 0
    count = 5
    assert drops.grown(2.0) == 5
    count = 7
    assert drops.grown(4.0) == 2
    assert drops.grown(5.0) == 0
    assert [drops.since(start) for start in (0.0, 2.0, 3.0, 4.0, 5.0)] == [7, 7, 2, 2, 0]


def test_a_task_writes_its_loss_only_when_it_changed() -> None:
    task = Task("t")
    message = Message("h", "crate1slot2", "s", 1.0, 0, "session_log", "text")
    assert task.take(message, Step(Arrival.NEW, 3))
    assert [event["k"] for event in task.pending(2.0)] == ["message", "header"]
    assert task.written() == 1
    task.take(message, Step(Arrival.NEW))
    assert [event["k"] for event in task.pending(2.0)] == ["message"]
    assert task.drop() == 1
    assert task.applied == 1
    task.take(message, Step(Arrival.LATE, -1))
    assert task.pending(2.0)[-1]["set"] == {"lost": 2}


def test_addresses_are_shown_as_people_write_them() -> None:
    assert address_text(b"\x1f\x90\x7f\x00\x00\x01") == "127.0.0.1:8080"
    assert address_text(b"\x1f\x90" + bytes(4) + bytes(15) + b"\x01") == "[::1]:8080"


def test_a_relay_address_is_host_and_port() -> None:
    assert relay_address("monitor:8200") == ("monitor", 8200)
    assert relay_address("[::1]:8200") == ("::1", 8200)
    for wrong in ("", "monitor", ":8200", "monitor:", "monitor:x", "monitor:70000"):
        with pytest.raises(ConfigError, match="host:port"):
            relay_address(wrong)


def test_every_counter_is_a_metric() -> None:
    names = {metric.name for metric in CountersCollector(Counters(received=3)).collect()}
    assert {"smurfq_bridge_received", "smurfq_bridge_buffered", "smurfq_bridge_lost"} <= names
    assert len(names) == len(Counters.__dataclass_fields__)


def test_a_periodic_job_that_fails_stops_neither_itself_nor_the_others(caplog: pytest.LogCaptureFixture) -> None:
    good, bad = threading.Semaphore(0), threading.Semaphore(0)

    def fail() -> None:
        bad.release()
        raise RuntimeError("no luck")

    log = logging.getLogger("test")
    periodic = Periodic(Complaints(log), log)
    periodic.every(0.001, fail)
    periodic.every(0.001, good.release)
    periodic.start()
    try:
        assert all(semaphore.acquire(timeout=10.0) for semaphore in (good, bad) * 3)
    finally:
        periodic.finish()
        periodic.join(10.0)
    assert not periodic.is_alive()
    assert [record.getMessage() for record in caplog.records if "no luck" in record.getMessage()]
