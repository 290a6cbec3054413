"""The page of the bridge that Prometheus reads."""

from __future__ import annotations

import time
import urllib.request

from smurfq.bridge import metrics
from smurfq.core import keys
from smurfq.store.bridge import Counters
from smurfq.store.connection import Client
from smurfq.store.queues import list_key
from tests.site.ports import free_port

SLOT = "crate1slot2"


def test_the_lengths_of_the_queues_are_gauges(valkey: Client) -> None:
    valkey.lpush(list_key(SLOT, 5), '{"headers": {"id": "a"}}', '{"headers": {"id": "b"}}')
    valkey.zadd(keys.WAITING, {"a": time.time() - 1000.0, "b": time.time()})
    port = free_port()
    collectors = [metrics.CountersCollector("here", Counters(received=3)), metrics.QueuesCollector(valkey, [SLOT])]
    server = metrics.serve("127.0.0.1", port, collectors)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            lines = answer.read().decode().splitlines()
    finally:
        server.shutdown()
        server.server_close()
    told = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert float(told['smurfq_bridge_received_total{bridge="here"}']) == 3
    assert float(told[f'smurfq_queue_length{{queue="{SLOT}",slot="{SLOT}"}}']) == 2
    assert 1000 <= float(told[f'smurfq_queue_oldest_age_seconds{{queue="{SLOT}",slot="{SLOT}"}}']) < 1100
    assert float(told[f'smurfq_queue_length{{queue="{SLOT}.state",slot="{SLOT}"}}']) == 0
    assert float(told[f'smurfq_queue_oldest_age_seconds{{queue="{SLOT}.state",slot="{SLOT}"}}']) == 0
