"""`uxm_setup` and `uxm_relock` on a simulated slot, by stage: one band, two or all eight, beside a plain script."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil

from benchmarks.figures import Row, Table
from benchmarks.site import SCRIPTS
from smurfq.core.session import SessionRecord
from tests.site.process_group import ROOT
from tests.site.simulated import SLOTS, SimSite

SLOT = SLOTS[0]
DETECTORS = 1700
_BANDS = (1, 2)
_WITHIN_S = 5400.0
_LOOK_EVERY_S = 0.5


class _Watch:
    """What the simulator's processes use while something goes on."""

    def __init__(self, pid: int) -> None:
        root = psutil.Process(pid)
        self._processes = [root, *root.children(recursive=True)]
        self._before = {one: sum(one.cpu_times()[:2]) for one in self._processes}
        self._began = time.monotonic()
        self._most_bytes = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._over.wait(_LOOK_EVERY_S):
            self._most_bytes = max(self._most_bytes, sum(one.memory_info().rss for one in self._processes))

    def words(self) -> str:
        """Cores and memory, in words."""
        self._over.set()
        self._thread.join()
        used_s = sum(sum(one.cpu_times()[:2]) - before for one, before in self._before.items())
        cores = used_s / (time.monotonic() - self._began)
        return f"simulator {cores:.2f} cores, at most {self._most_bytes / 1e6:.0f} MB"


def measure(bands: tuple[int, ...] = _BANDS) -> Table:
    """Setup and relock of so many bands by the queue, each on a card that was never set up, and one band by hand."""
    rows, plain = [], ""
    for count in bands:
        with _cold_site() as site:
            chosen = list(range(count))
            watch = _Watch(site.simulator.pid)
            setup = site.succeeded("uxm_setup", SLOT, _WITHIN_S, bands=chosen, kwargs={"show_plots": False})
            relock = site.succeeded("uxm_relock", SLOT, _WITHIN_S, bands=chosen)
            used = watch.words()
            again = site.succeeded("uxm_setup", SLOT, _WITHIN_S, bands=chosen, kwargs={"show_plots": False})
            if count == 1:
                plain = _by_hand(site, chosen)
            rows += [
                Row(f"`uxm_setup`, {_named(count)}", _stages(setup), f"a second time: {_stages(again)}"),
                Row(f"`uxm_relock`, {_named(count)}", _stages(relock), f"{_found(site, relock, chosen)}; {used}"),
            ]
    if plain:
        rows.append(Row("`uxm_setup`, one band, a plain script a third time", "", plain))
    return Table(
        "Setup and relock of a simulated slot, by stage",
        rows,
        [
            f"{DETECTORS} detectors. Second column: wall time of the whole operation, then of its stages. A first",
            "setup searches for the amplifiers' gates, a second finds them. 30 s of each noise stage are the data.",
            "All eight bands: `python -m benchmarks --only radio8`.",
        ],
    )


def measure_all_bands() -> Table:
    """The same of all eight bands."""
    return measure((8,))


@contextmanager
def _cold_site() -> Iterator[SimSite]:
    variables = {"SMURFQ_SIM_COLD": "true", "SMURFQ_SIM_DETECTORS": str(DETECTORS)}
    with (
        tempfile.TemporaryDirectory(prefix="smurfq-bench-") as folder,
        SimSite(Path(folder) / "site", **variables) as site,
    ):
        site.start_worker(SLOT)
        yield site


def _named(count: int) -> str:
    return "one band" if count == 1 else f"{count} bands"


def _stages(record: SessionRecord) -> str:
    """The wall time of a run and of its stages, in words."""
    assert record.start_time is not None
    assert record.end_time is not None
    ends = [at for _, at in record.stages[1:]]
    parts = [f"{name} {end - at:.0f}" for (name, at), end in zip(record.stages, ends, strict=False)]
    return f"{record.end_time - record.start_time:.0f} s ({', '.join(parts)})"


def _found(site: SimSite, relock: SessionRecord, bands: list[int]) -> str:
    """How many resonators a relock has and tracks, beside those that are there."""
    truth = site.resonators(SLOT)
    there = np.isin(truth["band"], bands)
    good = there & (truth["kind"] == "good") & (truth["channel"] >= 0)
    return (
        f"{sum(relock.data['all_det_num'])} resonators with a tone and {sum(relock.data['good_det_num'])} tracking, "
        f"of {int(there.sum())} there and {int(good.sum())} good ones"
    )


def _by_hand(site: SimSite, bands: list[int]) -> str:
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "plain_setup.py"), SLOT[-1], *map(str, bands)],
        env={**os.environ, **site.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        timeout=_WITHIN_S,
        check=True,
    )
    told = next(line for line in done.stdout.splitlines() if line.startswith("TOOK "))
    return f"{json.loads(told.removeprefix('TOOK ')):.0f} s beside its imports"
