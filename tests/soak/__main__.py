"""``make soak``: a site under faults for as long as asked; the count of each fault, what it cost, and any breach.

The exit code is 1 if anything was not as promised; the site's folder, with all logs and journals, is then kept.
"""

from __future__ import annotations

import argparse
import functools
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.soak.faults import FAULTS
from tests.soak.soak import chosen, keep_evidence, soak, table


def main() -> int:
    """The exit code: 1 if anything was not as promised."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="A site under faults.")
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument(
        "--only", action="append", help="do only faults that have this in their name; may be given again"
    )
    parser.add_argument("--longest-outage", type=float, default=60.0, metavar="S", help="of Redis")
    parser.add_argument("--no-simulated-slot", action="store_true", help="scripts only; starts faster")
    parser.add_argument("--verbose", action="store_true", help="say what is being done, and when")
    arguments = parser.parse_args()
    only = arguments.only or [""]
    if not chosen(only):
        parser.error(f"no fault has {' or '.join(only)} in its name; there are: {'; '.join(FAULTS)}")
    print(f"soak of {arguments.seconds:g} s, seed {arguments.seed}", flush=True)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: sys.exit(128 + received))  # the site must be taken down
    folder = Path(tempfile.mkdtemp(prefix="smurfq-soak-"))
    account = soak(
        folder / "site",
        seed=arguments.seed,
        seconds=arguments.seconds,
        simulated=not arguments.no_simulated_slot,
        only=only,
        longest_outage_s=arguments.longest_outage,
        say=functools.partial(print, flush=True) if arguments.verbose else lambda text: None,
    )
    print(table(account))
    for what, times in sorted(account.counts.items()):
        print(f"{times:6d}  {what}")
    print(f"{account.operations:6d}  operations submitted, {len(account.faults)} faults")
    for breach in account.breaches:
        print(f"BREACH: {breach}")
    print(f"{len(account.breaches)} breaches")
    if account.breaches:
        keep_evidence(account, folder)
        print(f"logs and journals are kept in {folder}")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
