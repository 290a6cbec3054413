"""Asks Redis what runs under each publisher id, and remembers it."""

from __future__ import annotations

import socket
import time
from collections import OrderedDict
from collections.abc import Collection, Iterable
from typing import Any

from smurfq.bridge.attribution import PublisherRuns, RunState
from smurfq.core import keys, stages
from smurfq.core.jsonsafe import loads
from smurfq.store.connection import Client
from smurfq.store.fence import Ran, Running, parse_ran, parse_running
from smurfq.store.record_batches import WRITTEN

RUNS_KEPT = 500


class KnownRuns:
    """The present run of each publisher id, its recent runs, and the states of the runs."""

    def __init__(self, client: Client, host: str | None = None) -> None:
        self._client = client
        self._host = host or socket.gethostname()
        self._states: OrderedDict[str, RunState] = OrderedDict()  # the most recently used last
        self._running: dict[str, Running] = {}
        self._texts: dict[str, str] = {}  # of the present runs, as Redis had them when asked last; empty for none
        self._recent: dict[str, list[Ran]] = {}  # the newest first

    def look_up(self, publishers: Iterable[str]) -> PublisherRuns:
        """Read the present run of each publisher id, in at most three round trips; in one if no run is new.

        The answer may already be out of date when it arrives, so writes depend on its ``expected`` texts.
        """
        names = sorted(publishers)
        found: list[str | None] = self._client.mget([keys.running(name) for name in names]) if names else []  # type: ignore[assignment]
        texts = {name: text or "" for name, text in zip(names, found, strict=True)}
        recent = self._read_recent([name for name in names if self._texts.get(name) != texts[name]])
        running = {name: one for name, text in texts.items() if (one := parse_running(text))}
        used = [ran.task_id for runs in recent.values() for ran in reversed(runs)]
        used += [one.task_id for one in running.values()]
        self._keep(self._load([task_id for task_id in used if task_id not in self._states]), used)
        self._texts.update(texts)
        self._recent.update(recent)
        self._running.update(running)
        return self._runs_of(names, running)

    def known(self, publishers: Collection[str]) -> PublisherRuns | None:
        """Return the last read run of each publisher id; None if one of them was not read."""
        running = {}
        for name in publishers:
            text = self._texts.get(name)
            if text is None:
                return None
            if text:
                one = self._running[name]
                if one.task_id not in self._states:
                    return None
                self._states.move_to_end(one.task_id)
                running[name] = one
        return self._runs_of(publishers, running)

    def state(self, task_id: str) -> RunState | None:
        """Return the state of a run; None if the run is not known."""
        return self._states.get(task_id)

    def commit(self, state: RunState) -> None:
        """Remember the state of a run after a batch was written."""
        self._states[state.task_id] = state

    def vanished(self, state: RunState) -> int:
        """Return the number of a run's messages that were written to Redis and that Redis has lost."""
        written: Any = self._client.hget(keys.record(state.task_id), WRITTEN)
        return max(0, state.before + state.applied - int(written or 0))

    def _runs_of(self, publishers: Iterable[str], running: dict[str, Running]) -> PublisherRuns:
        expected = {keys.running(name): self._texts[name] for name in publishers}
        return PublisherRuns(self._host, running, self._recent, self._states, expected)

    def _read_recent(self, publishers: list[str]) -> dict[str, list[Ran]]:
        if not publishers:
            return {}
        with self._client.pipeline(transaction=False) as pipe:
            for name in publishers:
                pipe.lrange(keys.recent_runs(name), 0, -1)
            return {
                name: [parse_ran(text) for text in texts]
                for name, texts in zip(publishers, pipe.execute(), strict=True)
            }

    def _load(self, task_ids: list[str]) -> list[RunState]:
        """The states of runs as earlier bridges may have left them."""
        if not task_ids:
            return []
        with self._client.pipeline(transaction=False) as pipe:
            for task_id in task_ids:
                pipe.hmget(keys.record(task_id), ["lost", WRITTEN])
                pipe.hget(keys.data(task_id), stages.KEY)
            answers = pipe.execute()
        loaded = []
        for task_id, (lost, written), known in zip(task_ids, answers[::2], answers[1::2], strict=True):
            timestamps = loads(known) if known else None
            before = int(written or 0)
            lost_before = int(loads(lost or "0"))
            loaded.append(RunState(task_id, lost_before, before=before, timestamps=timestamps, seen=time.monotonic()))
        return loaded

    def _keep(self, loaded: list[RunState], used: list[str]) -> None:
        """Remember the runs that are in use, however many, and of the others the most recently used."""
        self._states.update((state.task_id, state) for state in loaded)
        for task_id in used:
            self._states.move_to_end(task_id)
        while len(self._states) > max(RUNS_KEPT, len(used)):
            self._states.popitem(last=False)
