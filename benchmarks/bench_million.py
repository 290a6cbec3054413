"""A million messages in one run: what arrives, what the record keeps, what it weighs, how long a reader waits."""

from __future__ import annotations

import threading
import time

from benchmarks.bench_memory import weigh
from benchmarks.figures import Row, Table
from benchmarks.site import SCRIPTS, SLOT, site
from smurfq.app import app
from smurfq.core import keys
from smurfq.tasks import run

COUNT, SIZE = 1_000_000, 40
_WITHIN_S = 1_800.0
_PARTS = ("valkey", "bridge", f"worker-{SLOT}")


def measure() -> Table:
    """Run a script that publishes a million messages, and look at what is left of it."""
    with site() as at:
        at.start_worker(SLOT, wait=False, SMURFQ_WORKER_PRELOAD="false")
        at.start_bridge()
        at.await_worker(SLOT)
        before = {name: weigh(at, name) for name in _PARTS}
        most = dict(before)
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(2.0):
                for name in _PARTS:
                    most[name] = max(most[name], weigh(at, name), key=lambda weight: weight.pss)

        watcher = threading.Thread(target=watch)
        watcher.start()
        started = time.monotonic()
        try:
            task = run.delay(
                slot=SLOT,
                script=str(SCRIPTS / "million.py"),
                args=[str(COUNT), str(SIZE)],
            )
            task.get(timeout=_WITHIN_S)
        finally:
            ended.set()
            watcher.join()
        took_s = time.monotonic() - started
        begun = time.monotonic()
        record = app.records.read(task.id)
        read_s = time.monotonic() - begun
        begun = time.monotonic()
        app.records.header(task.id)
        header_s = time.monotonic() - begun
        events = keys.events(task.id)
        stream_mb = (app.store.memory_usage(events, samples=0) or 0) / 1e6
        counted = f"{record.messages_total:,} counted, lost {record.lost}, complete {record.complete}"
        kept = f"{len(record.messages):,}, the last {record.messages[-1][1].split()[0]}"
        rows = [
            Row(
                f"{COUNT:,} session_log, as fast as the bridge writes them",
                f"{counted}; from submission to result {took_s:.0f} s",
            ),
            Row("messages in the record", kept),
            Row("its events in Redis", f"{stream_mb:.0f} MB in {app.store.xlen(events):,} batches"),
            Row("reading the whole record", f"{read_s:.1f} s; its header {1000 * header_s:.1f} ms"),
        ]
        rows += [
            Row(f"{name.partition('-')[0]}, before and at most", f"{before[name]} → {most[name]}") for name in _PARTS
        ]
        return Table("A million messages in one run", rows)
