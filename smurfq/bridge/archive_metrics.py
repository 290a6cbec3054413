"""Exports the state of the archive list to Prometheus."""

from __future__ import annotations

import time
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from smurfq.store import best_effort
from smurfq.store.archive_list import ArchiveList


class ArchiveCollector(Collector):
    """The state of the archive list as metrics named ``smurfq_archive_…``."""

    def __init__(self, archive: ArchiveList) -> None:
        self._archive = archive

    def collect(self) -> Iterator[Metric]:
        """The present state; nothing while Redis is away."""
        with best_effort("the archive list is not reported"):
            yield from self._families()

    def _families(self) -> Iterator[Metric]:
        state = self._archive.state()
        oldest_s = max(0.0, time.time() - state.oldest) if state.oldest is not None else 0.0
        sound = state.registrar is not None and state.registrar.problem is None
        gauges = {
            "waiting": ("Files that wait to be registered in the archive.", state.waiting),
            "oldest_seconds": ("Time for which the oldest of them has waited.", oldest_s),
            "set_aside": ("Files that could not be registered.", state.set_aside),
            "registering": ("1 if a registrar runs and can write to its database, else 0.", int(sound)),
        }
        for name, (meaning, value) in gauges.items():
            yield GaugeMetricFamily(f"smurfq_archive_{name}", meaning, value=value)
        yield CounterMetricFamily("smurfq_archive_registered", "Files that were registered.", value=state.registered)
