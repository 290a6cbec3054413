"""How long a site takes from nothing to its first operation done."""

from __future__ import annotations

import time

from benchmarks import peer
from benchmarks.bench_operations import by_hand_s
from benchmarks.figures import Row, Table, times
from benchmarks.site import SCRIPTS, SLOT, site
from smurfq.tasks import test as trial

_TRIES = 3
_WITHIN_S = 90.0


def measure() -> Table:
    """Valkey, bridge and worker started at once, and a `test` submitted."""
    script = str(SCRIPTS / "with_sodetlib.py")
    by_hand = [by_hand_s(script) for _ in range(_TRIES)]
    row = Row(
        "from start to the end of the first `test`",
        times([_start() for _ in range(_TRIES)]),
        times(by_hand),
        peer.COLD_START,
    )
    return Table(
        "Cold start",
        [row],
        [
            "A running producer submits as soon as the bridge answers, before the worker is ready. Baseline:",
            "`python with_sodetlib.py`, which only imports sodetlib.",
        ],
    )


def _start() -> float:
    started = time.perf_counter()
    with site() as cold:
        cold.start_worker(SLOT, wait=False)
        cold.start_bridge()
        trial.delay(slot=SLOT).get(timeout=_WITHIN_S)
        return time.perf_counter() - started
