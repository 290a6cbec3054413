"""The bridge's counters for Prometheus."""

from __future__ import annotations

from smurfq.bridge.metrics import CountersCollector
from smurfq.store.bridge import Counters


def test_every_counter_is_a_metric() -> None:
    names = {metric.name for metric in CountersCollector("here", Counters(received=3)).collect()}
    assert {"smurfq_bridge_received", "smurfq_bridge_buffered", "smurfq_bridge_lost"} <= names
    assert len(names) == len(Counters.__dataclass_fields__)
