"""How long operations take that do nothing: `test`, and `run` of a script, beside Celery and Python alone."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks import peer
from benchmarks.bare_celery import bare_celery
from benchmarks.figures import Row, Table, times
from benchmarks.site import SCRIPTS, SLOT, BenchSite
from smurfq.tasks import run
from smurfq.tasks import test as trial
from tests.site.process_group import environ_without_site

_WITHIN_S = 60.0
_PAUSE_S = 0.1


def measure(site: BenchSite) -> Table:
    """`test` and `run`, from ``.delay()`` to ``.get()``."""
    empty, loading = (str(SCRIPTS / name) for name in ("empty.py", "with_sodetlib.py"))

    def test_it() -> None:
        _get(trial.delay(slot=SLOT))

    with bare_celery(site.url.removesuffix("/0") + "/1") as nothing:

        def bare() -> None:
            _get(nothing.delay())

        rows = [
            Row(
                "`test`, one at a time, 0.1 s apart",
                _timed(test_it, 60, _PAUSE_S),
                _timed(bare, 60, _PAUSE_S),
                peer.TEST,
            ),
            Row("`test`, back to back", _timed(test_it, 100), _timed(bare, 100), peer.TRIVIAL_TASK),
        ]
    rows += [
        Row(
            "`run` of an empty script",
            _timed(lambda: _run(empty), 40, _PAUSE_S),
            _timed(lambda: by_hand_s(empty), 40),
            peer.RUN_EMPTY,
        ),
        Row(
            "`run` of a script that imports sodetlib",
            _timed(lambda: _run(loading), 20, _PAUSE_S),
            _timed(lambda: by_hand_s(loading), 2),
        ),
    ]
    return Table(
        "Operations that do nothing: from .delay() to .get()",
        rows,
        [
            "Baselines: a task of plain Celery that does nothing (prefork, one process, the same Valkey), and the",
            "plain script. The peer's first figure is `run_test_func`, which starts a process like smurfq. The",
            "second one runs in the agent.",
        ],
    )


def _timed(do: Callable[[], object], count: int, pause_s: float = 0.0) -> str:
    do()
    samples = []
    for _ in range(count):
        time.sleep(pause_s)
        started = time.perf_counter()
        do()
        samples.append(time.perf_counter() - started)
    return times(samples)


def _get(result: Any) -> None:
    result.get(timeout=_WITHIN_S)


def _run(script: str) -> None:
    _get(run.delay(slot=SLOT, script=script))


def by_hand_s(script: str) -> float:
    """The seconds that a script takes by hand."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-u", script], env=environ_without_site(), check=True, timeout=_WITHIN_S)
    return time.perf_counter() - started
