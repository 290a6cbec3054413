"""How long an abort takes: to the script's death, and to its record's end."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time

from benchmarks import peer
from benchmarks.figures import Row, Table, times
from benchmarks.site import SCRIPTS, BenchSite
from smurfq.client import LogUpdate
from tests.site.process_group import environ_without_site

_SLEEPER = str(SCRIPTS / "sleeper.py")
_TRIES = 20
_KILLS = 10  # each takes a second
_GRACE_S = 0.1
_WITHIN_S = 30.0


def measure(site: BenchSite) -> Table:
    """An abort of a script that does not look whether it shall stop."""
    killed = [_abort(site, 0.0) for _ in range(_KILLS)]
    interrupted = [_abort(site, _GRACE_S) for _ in range(_TRIES)]
    by_hand = [_terminate() for _ in range(_TRIES)]
    grace = f"`grace_s={_GRACE_S:g}`"
    rows = [
        Row(
            "`grace_s=0`: from abort to the script's death",
            times([dead for dead, _ in killed]),
            times(by_hand),
            peer.ABORT_DEAD,
        ),
        Row("`grace_s=0`: from abort to the record's end", times([done for _, done in killed]), "", peer.ABORT_DONE),
        Row(f"{grace}: from abort to the script's death", times([dead for dead, _ in interrupted])),
        Row(f"{grace}: from abort to the record's end", times([done for _, done in interrupted])),
    ]
    remarks = [
        "The script does not check whether it should stop. After `grace_s`, smurfq interrupts it, so that its",
        "`finally` blocks run. After `grace_s` again, smurfq kills it. The default times are",
        "`limits.abort_grace_s` and `limits.kill_grace_s`, 10 s each. After a kill, the record ends only when",
        "the card has been made safe. Here, there is no card, and most of the time passes until smurfq knows",
        "this. Baseline: SIGTERM to the plain script.",
    ]
    return Table("Abort", rows, remarks)


def _abort(site: BenchSite, grace_s: float) -> tuple[float, float]:
    run = site.slot.submit("run", script=_SLEEPER)
    updates = run.follow(_WITHIN_S)
    pid = next(int(update.text) for update in updates if isinstance(update, LogUpdate))
    process = os.pidfd_open(pid)
    try:
        started = time.perf_counter()
        run.abort(by="bench", reason="measured", grace_s=grace_s)
        _await_death(process)
        dead_s = time.perf_counter() - started
    finally:
        os.close(process)
    record = run.wait(_WITHIN_S)
    done_s = time.perf_counter() - started
    assert record.outcome == "aborted", record.outcome
    return dead_s, done_s


def _terminate() -> float:
    with subprocess.Popen(
        [sys.executable, "-u", _SLEEPER], env=environ_without_site(), stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        process = os.pidfd_open(child.pid)
        try:
            started = time.perf_counter()
            child.terminate()
            _await_death(process)
            return time.perf_counter() - started
        finally:
            os.close(process)


def _await_death(process: int) -> None:
    dead, _, _ = select.select([process], [], [], _WITHIN_S)
    assert dead, f"the script was not dead within {_WITHIN_S} s"
