"""Exports the bridge's counters and the last block of every feed to Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from smurfq.errors import StartError
from smurfq.operations import OPERATIONS
from smurfq.store import best_effort
from smurfq.store.bridge import Counters
from smurfq.store.feeds import Feeds

_GAUGES = {"buffered", "lost"}


class CountersCollector(Collector):
    """The counters as metrics named ``smurfq_bridge_…``."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def collect(self) -> Iterator[Metric]:
        """All counters with their present values."""
        for name, value in asdict(self._counters).items():
            family = GaugeMetricFamily if name in _GAUGES else CounterMetricFamily
            yield family(f"smurfq_bridge_{name}", f"Datagrams {name.replace('_', ' ')}.", value=value)


class FeedsCollector(Collector):
    """The last block of each slot in each feed: ``smurfq_<feed>{slot, field}``, and when it was published.

    A field that is null is left out. Relock's alarm is ``smurfq_tracking_results{field="alarm_band0"}`` and so on.
    """

    def __init__(self, feeds: Feeds) -> None:
        self._feeds = feeds

    def collect(self) -> Iterator[Metric]:
        """All last blocks; none while Redis is away."""
        with best_effort("the feeds are not reported"):
            yield from self._families()

    def _families(self) -> Iterator[Metric]:
        for operation in OPERATIONS.values():
            if operation.feed is None:
                continue
            values = GaugeMetricFamily(
                f"smurfq_{operation.feed}", f"Last block of the feed {operation.feed}.", labels=("slot", "field")
            )
            times = GaugeMetricFamily(
                f"smurfq_{operation.feed}_timestamp_seconds", "When it was published, s since 1970.", labels=("slot",)
            )
            for block in self._feeds.last(operation.feed):
                times.add_metric((block.slot,), block.timestamp)
                for field, value in block.data.items():
                    if isinstance(value, int | float):
                        values.add_metric((block.slot, field), float(value))
            yield values
            yield times


def serve(host: str, port: int, collectors: Iterable[Collector]) -> object:
    """The HTTP server that answers Prometheus; it ends with the process.

    Raises
    ------
    StartError
        The port is taken.
    """
    registry = CollectorRegistry(auto_describe=False)
    for collector in collectors:
        registry.register(collector)
    try:
        server, _ = start_http_server(port, addr=host, registry=registry)
    except OSError as cause:
        raise StartError(
            f"cannot serve metrics on {host}:{port}: {cause.strerror}; choose another bridge.metrics_port, or 0"
        ) from cause
    return server
