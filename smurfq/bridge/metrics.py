"""Exports the bridge's counters, feeds, the smurf servers' registers and the lengths of the queues to Prometheus."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from smurfq.bridge.register_values import RegisterValues
from smurfq.core.published_registers import QUANTITIES, number_of
from smurfq.errors import StartError
from smurfq.operations import OPERATIONS
from smurfq.store import best_effort
from smurfq.store.bridge import Counters
from smurfq.store.connection import Client
from smurfq.store.feeds import Feeds
from smurfq.store.queue_lengths import queue_lengths

_GAUGES = {"buffered", "lost"}
_OTHER_MEANINGS = {
    "registers": "Values of registers that smurf servers have published.",
    "server_files": "G3 files that smurf servers have closed.",
}


class CountersCollector(Collector):
    """The counters as metrics named ``smurfq_bridge_…{bridge}``."""

    def __init__(self, name: str, counters: Counters) -> None:
        self._name = name
        self._counters = counters

    def collect(self) -> Iterator[Metric]:
        """All counters with their present values."""
        for name, value in asdict(self._counters).items():
            family = GaugeMetricFamily if name in _GAUGES else CounterMetricFamily
            meaning = _OTHER_MEANINGS.get(name, f"Datagrams {name.replace('_', ' ')}.")
            metric = family(f"smurfq_bridge_{name}", meaning, labels=("bridge",))
            metric.add_metric((self._name,), value)
            yield metric


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
                    if (number := number_of(value)) is not None:
                        values.add_metric((block.slot, field), number)
            yield values
            yield times


class RegistersCollector(Collector):
    """The quantities of the smurf servers, ``smurfq_register{slot, quantity}``, when they were published, and alarms.

    ``smurfq_register_alarm`` is 1 for a quantity beyond a limit of the site; there is none for the others.
    """

    def __init__(self, registers: RegisterValues) -> None:
        self._registers = registers

    def collect(self) -> Iterator[Metric]:
        """All quantities that the servers have published, also while Redis is away."""
        labels = ("slot", "quantity")
        values = GaugeMetricFamily("smurfq_register", "Newest value that the smurf server published.", labels=labels)
        alarms = GaugeMetricFamily("smurfq_register_alarm", "Whether it is beyond a limit of the site.", labels=labels)
        times = GaugeMetricFamily(
            "smurfq_register_timestamp_seconds", "When the newest was published, s since 1970.", labels=("slot",)
        )
        for slot, numbers in self._registers.numbers().items():
            for one in QUANTITIES:
                if one.path_end in numbers:
                    values.add_metric((slot, one.name), numbers[one.path_end])
        for slot, of_slot in self._registers.alarms().items():
            for alarm in of_slot:
                alarms.add_metric((slot, alarm.quantity), 1.0)
        for slot, at in self._registers.newest_at().items():
            times.add_metric((slot,), at)
        yield from (values, alarms, times)


class QueuesCollector(Collector):
    """The length of each queue, ``smurfq_queue_length{slot, queue}``, and for how long its oldest message waits.

    The age is 0 if nothing waits.
    """

    def __init__(self, client: Client, slots: Sequence[str]) -> None:
        self._client = client
        self._slots = slots

    def collect(self) -> Iterator[Metric]:
        """Both gauges of every queue; none while Redis is away."""
        with best_effort("the lengths of the queues are not reported"):
            yield from self._families()

    def _families(self) -> Iterator[Metric]:
        labels = ("slot", "queue")
        length = GaugeMetricFamily("smurfq_queue_length", "Waiting messages, of all priorities.", labels=labels)
        age = GaugeMetricFamily("smurfq_queue_oldest_age_seconds", "Age of the oldest waiting message.", labels=labels)
        now = time.time()
        for one in queue_lengths(self._client, self._slots):
            length.add_metric((one.slot, one.queue), one.length)
            age.add_metric((one.slot, one.queue), 0.0 if one.oldest is None else max(0.0, now - one.oldest))
        yield length
        yield age


def serve(host: str, port: int, collectors: Iterable[Collector]) -> WSGIServer:
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
