"""A batch that could not be written leaves what the bridge knows as it was, and is attributed again."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from smurfq.bridge.attribution import ArrivedMessage
from smurfq.bridge.complaints import Complaints
from smurfq.bridge.known_runs import KnownRuns
from smurfq.bridge.recorder import Recorder
from smurfq.bridge.redis_retry import RedisRetry
from smurfq.bridge.writer import Writer
from smurfq.core import keys
from smurfq.core.messages import Message
from smurfq.errors import StoreUnavailableError
from smurfq.store import Records, connect
from smurfq.store.bridge import Counters, Positions
from smurfq.store.connection import Client
from smurfq.store.feeds import Feeds
from tests.site.bridge import HOST, SLOT, BridgeSite
from tests.site.valkey import Valkey

LOG = logging.getLogger("test")


def message(number: int, text: str = "") -> ArrivedMessage:
    now = time.time()
    return ArrivedMessage(
        b"", now, Message(HOST, SLOT, "a script", now, number, "session_log", text or str(number)), SLOT
    )


class Recording:
    """A recorder as the bridge has it, without the bridge's process."""

    def __init__(self, client: Client) -> None:
        self.stopping = threading.Event()
        self.counters = Counters()
        complaints, retry = Complaints(LOG), RedisRetry(LOG, self.stopping, 0.0)
        self.runs = KnownRuns(client)
        self.recorder = Recorder(
            runs=self.runs,
            writer=Writer(client, Records(client, 3600), Positions(client, "here"), retry, complaints),
            feeds=Feeds(client),
            retry=retry,
            publishers=frozenset([SLOT]),
            counters=self.counters,
            complaints=complaints,
        )

    def counted(self) -> tuple[int, int, int, int]:
        counters = self.counters
        return counters.applied, counters.lost, counters.duplicate, counters.idle


@pytest.fixture
def site(valkey: Client, valkey_url: str, tmp_path: Path) -> Iterator[BridgeSite]:
    """A site without a bridge, on which ``t1`` runs."""
    site = BridgeSite(valkey_url, tmp_path)
    site.begin("t1")
    yield site
    site.close()


def test_a_batch_is_attributed_again_if_another_run_has_started(site: BridgeSite) -> None:
    recording = Recording(site.client)
    assert recording.recorder.record([message(0)]) == ["t1"]
    batch = [message(2, "of t1")]
    site.begin("t2")
    batch += [message(2, "of t1"), message(5, "of t2")]
    batch[1] = batch[0]  # a copy
    assert recording.recorder.record(batch) == ["t1", "t2"]
    assert [site.texts(name) for name in ("t1", "t2")] == [["0", "of t1"], ["of t2"]]
    assert [site.records.header(name).lost for name in ("t1", "t2")] == [1, 2]
    assert recording.counted() == (3, 3, 1, 0)


def test_a_batch_of_a_run_that_has_ended_is_counted_once_as_of_no_run(site: BridgeSite) -> None:
    recording = Recording(site.client)
    recording.recorder.record([message(0)])
    site.end()
    assert recording.recorder.record([message(1), message(3)]) == []
    assert recording.counted() == (1, 1, 0, 2)
    assert recording.recorder.unowned.since(SLOT, 0.0) == 2


def test_a_run_whose_record_redis_rejects_counts_its_messages_as_refused(site: BridgeSite) -> None:
    site.client.set(keys.events("t1"), "not a stream")
    recording = Recording(site.client)
    recording.recorder.record([message(0), message(2)])
    state = recording.runs.state("t1")
    assert state is not None
    assert (state.applied, state.refused, recording.counters.refused) == (0, 2, 2)
    assert recording.counted() == (0, 1, 0, 0)


def test_a_write_that_failed_leaves_the_state_and_can_be_done_again(tmp_path: Path) -> None:
    server = Valkey(tmp_path / "valkey", appendfsync="always")
    site, client = BridgeSite(server.url, tmp_path), connect(server.url, retries=0)
    try:
        site.begin("t1")
        recording = Recording(client)
        recording.recorder.record([message(0)])
        before, counted = recording.runs.state("t1"), recording.counted()
        batch = [message(3), message(4)]
        server.stop()
        recording.stopping.set()
        with pytest.raises(StoreUnavailableError):
            recording.recorder.record(batch)
        assert (recording.runs.state("t1"), recording.counted()) == (before, counted)
        recording.stopping.clear()
        server.start()
        recording.recorder.record(batch)
        assert site.texts("t1") == ["0", "3", "4"]
        assert site.records.header("t1").lost == 2
        assert recording.counted() == (3, 2, 0, 0)
    finally:
        site.close()
        client.close()
        server.stop()
