"""What an idle site weighs: one slot, six, and Flower."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

import psutil

from benchmarks import peer
from benchmarks.figures import Row, Table
from benchmarks.site import SLOTS, BenchSite
from smurfq.tasks import test as trial
from tests.site.eventually import eventually
from tests.site.process_group import environ_without_site

_MB = 1e6
_OPERATIONS_BEFORE = 20  # what a worker weighs that has worked
_COMMON = ("valkey", "bridge")


@dataclass(frozen=True)
class Weight:
    """The memory of some processes, in MB.

    ``pss`` shares out what several processes have in common, and so adds up; ``rss`` counts it once for each.
    """

    pss: float = 0.0
    rss: float = 0.0
    processes: int = 0

    def __add__(self, other: Weight) -> Weight:
        return Weight(self.pss + other.pss, self.rss + other.rss, self.processes + other.processes)

    def __str__(self) -> str:
        return f"PSS {self.pss:.0f} MB, RSS {self.rss:.0f} MB ({self.processes} processes)"


def one_slot(site: BenchSite) -> list[Row]:
    """The rows of a site with one slot."""
    baseline = _imported()
    worker = f"worker-{SLOTS[0]}"
    processes = len(site.whole(worker))
    for _ in range(_OPERATIONS_BEFORE):
        trial.delay(slot=SLOTS[0]).get(timeout=30)
    eventually(lambda: len(site.whole(worker)) == processes, what="the next operation's process waits")
    parts = {name: weigh(site, name) for name in (*_COMMON, worker)}
    rows = [
        Row(
            "one slot, idle",
            str(sum(parts.values(), Weight())),
            f"{baseline} that has imported sodetlib",
            peer.MEMORY_ONE,
        )
    ]
    return rows + [Row(f"— of this: {name.partition('-')[0]}", str(weight)) for name, weight in parts.items()]


def six_slots(site: BenchSite) -> Table:
    """Start the other slots' workers and Flower, and weigh all; then one worker for all six, as `smurfq up` starts."""
    for slot in SLOTS[1:]:
        site.start_worker(slot, wait=False)
    for slot in SLOTS[1:]:
        site.await_worker(slot)
    total = sum((weigh(site, name) for name in (*_COMMON, *(f"worker-{slot}" for slot in SLOTS))), Weight())
    site.start_flower()
    for slot in SLOTS:
        site.stop(site.processes[f"worker-{slot}"])
    site.start_worker(SLOTS[0], "workers", wait=False, slots=SLOTS)
    for slot in SLOTS:
        site.await_worker(slot, "workers")
        trial.delay(slot=slot).get(timeout=30)
    shared = sum((weigh(site, name) for name in (*_COMMON, "workers")), Weight())
    rows = [
        Row("six slots, idle, a worker for each", str(total)),
        Row("six slots, idle, one worker for all", str(shared)),
        Row("Flower, in addition", str(weigh(site, "flower"))),
    ]
    remarks = [
        "Every worker loads pysmurf and sodetlib. A slot's processes (worker, two lanes, their pool children,",
        "two spare processes) are forks of the process that loaded them, and share its memory. RSS counts",
        "this memory for each process. If the slots have separate workers, these share only the libraries'",
        "files. If one worker serves several slots (`smurfq worker --slot A --slot B`, or `smurfq up`), all",
        "its processes share the loaded libraries.",
    ]
    return Table("", rows, remarks)


def measure(one: list[Row], six: Table) -> Table:
    """The rows of both as one table."""
    return Table("Memory of an idle site", [*one, *six.rows], six.remarks)


def weigh(site: BenchSite, name: str) -> Weight:
    """The memory of a part of the site with all its descendants."""
    return sum((_weight(process) for process in site.whole(name)), Weight())


def _weight(process: psutil.Process) -> Weight:
    memory = process.memory_full_info()
    return Weight(memory.pss / _MB, memory.rss / _MB, 1)


def _imported() -> Weight:
    """A Python that has done nothing but import sodetlib."""
    program = "import sys, sodetlib; print('ready', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env=environ_without_site(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        while "ready" not in child.stdout.readline():
            assert child.poll() is None, "python -c 'import sodetlib' failed"
        weight = _weight(psutil.Process(child.pid))
        child.communicate("")
    return weight
