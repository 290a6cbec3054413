"""What connecting registers ahead gains: operations on a simulated slot with it, without it, and in a plain script."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.figures import Row, Table, times
from benchmarks.site import SCRIPTS
from tests.site.process_group import ROOT
from tests.site.simulated import SLOTS, SimSite

_AHEAD, _NOT_AHEAD = SLOTS[:2]
_TIMES = 5
_WITHIN_S = 120.0
_OPERATIONS: dict[str, dict[str, Any]] = {
    "set_biases": {"bias": 0.0},
    "stream": {"duration": 0.5},
}


def measure() -> Table:
    """Operations by the queue on two simulated slots, of which one connects ahead, and by hand on the first."""
    with tempfile.TemporaryDirectory(prefix="smurfq-bench-") as folder, SimSite(Path(folder) / "site") as site:
        site.start_worker(_AHEAD)
        site.start_worker(_NOT_AHEAD, SMURFQ_EPICS_CONNECT_AHEAD="false")
        rows = [_row(site, operation) for operation in _OPERATIONS]
    return Table(
        "Registers connected ahead: from .submit() to the record's end",
        rows,
        [
            "Baselines: the same operation on a worker that does not connect registers ahead, and the same calls",
            "in a plain script, without the time of its imports. The number of registers is that of the",
            "operation. The simulated slots have 240 detectors. The rest of each time is sodetlib's waiting and",
            "analysis.",
        ],
    )


def _row(site: SimSite, operation: str) -> Row:
    samples: dict[str, list[float]] = {slot: [] for slot in (_AHEAD, _NOT_AHEAD)}
    for turn in range(_TIMES + 1):
        for slot, taken in samples.items():
            began = time.perf_counter()
            site.succeeded(operation, slot, _WITHIN_S, **_OPERATIONS[operation])
            if turn:  # the first run is the one that learns the names
                taken.append(time.perf_counter() - began)
    names = Path(site.settings.state_dir) / "registers" / _AHEAD / f"{operation}.json"
    registers = len(json.loads(names.read_text()))
    plain = [_by_hand_s(site, operation) for _ in range(_TIMES)]
    return Row(
        f"`{operation}`, {registers} registers",
        times(samples[_AHEAD]),
        f"without: {times(samples[_NOT_AHEAD])}; plain script: {times(plain)}",
    )


def _by_hand_s(site: SimSite, operation: str) -> float:
    """The seconds that a person's script takes for the same calls, beside its imports."""
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "plain_operations.py"), operation, _AHEAD[-1]],
        env={**os.environ, **site.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        timeout=_WITHIN_S,
        check=True,
    )
    told = next(line for line in done.stdout.splitlines() if line.startswith("TOOK "))
    return float(json.loads(told.removeprefix("TOOK "))[operation])
