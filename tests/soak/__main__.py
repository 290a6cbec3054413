"""``make soak``: a site under faults for as long as asked, and what it cost.

Every breach of what smurfq promises is printed; the exit code is 1 if there was one.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from celery import chain
from celery.result import AsyncResult

from smurfq.app import app
from smurfq.errors import RecordNotFoundError
from smurfq.store import patiently
from smurfq.store.connection import AWAY
from smurfq.tasks import run
from tests.integration.live import LiveSite
from tests.soak import witness
from tests.soak.faults import Faults, settle

SLOTS = ["crate1slot1", "crate1slot2"]
FINAL_WITHIN_S = 60.0  # after everything is back
_AT_MOST_WAITING = 12


class Soak:
    """One soak: what was submitted, what was done to the site, what came of it."""

    def __init__(self, site: LiveSite, seed: int) -> None:
        self.chance = random.Random(seed)
        self.site = site
        self.script = site.script("soak.py", witness.SCRIPT)
        self.faults = Faults(site, SLOTS, self.chance)
        self.tasks: dict[str, tuple[str, AsyncResult]] = {}
        self.done: Counter[str] = Counter()

    def journal(self, slot: str) -> Path:
        """Where the operations of a slot write."""
        return self.site.folder / f"journal-{slot}"

    def submit(self) -> None:
        """Submit an operation, or a chain of them over the slots."""
        try:
            if self.chance.random() < 0.3:
                slots = [self.chance.choice(SLOTS) for _ in range(3)]
                last = chain(*[self._signature(slot) for slot in slots]).apply_async()
                for slot in reversed(slots):
                    self.tasks[last.id] = (slot, last)
                    last = last.parent
            else:
                slot = self.chance.choice(SLOTS)
                task = self._signature(slot).apply_async()
                self.tasks[task.id] = (slot, task)
        except Exception as error:  # noqa: BLE001 - Redis is away, in whatever words kombu and redis-py have for it
            self.done[f"submission refused ({type(error).__name__})"] += 1

    def _signature(self, slot: str) -> Any:
        seconds = self.chance.uniform(0.05, 1.5)
        return run.si(slot=slot, script=self.script, args=[str(self.journal(slot)), f"{seconds:.2f}"], log=False)

    def waiting(self) -> int:
        """How many operations wait."""
        try:
            return sum(len(app.waiting.waiting(slot)) for slot in SLOTS)
        except AWAY:
            return _AT_MOST_WAITING

    def go_on(self, seconds: float) -> None:
        """Submit, and do harm."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            while self.waiting() < _AT_MOST_WAITING and time.monotonic() < until:
                self.submit()
            time.sleep(self.chance.uniform(0.2, 2.0))
            self.done[self.faults.one()] += 1

    def breaches(self) -> list[str]:
        """What is not as promised, once all that was submitted has had time to end."""
        settle(self.site, SLOTS)
        deadline = time.monotonic() + FINAL_WITHIN_S + 2.0 * patiently(self.waiting)
        open_ = dict(self.tasks)
        while open_ and time.monotonic() < deadline:
            open_ = {task_id: it for task_id, it in open_.items() if not patiently(it[1].ready)}
            time.sleep(0.2)
        found = [f"{task_id} on {slot} has no final state: {task.state}" for task_id, (slot, task) in open_.items()]
        for slot in SLOTS:
            lines = witness.read(self.journal(slot))
            found += [f"{task_id} was run twice on {slot}" for task_id in witness.run_twice(lines)]
            found += [f"{one} and {other} ran at once on {slot}" for one, other in witness.at_once(lines)]
            found += self._untrue(slot, witness.ended(lines))
        return found

    def _untrue(self, slot: str, ended: set[str]) -> list[str]:
        """Records that say other than the journal."""
        found = []
        for task_id, (where, task) in self.tasks.items():
            if where != slot or not task.ready():
                continue
            state = task.state
            self.done[f"ended as {state}"] += 1
            if state == "SUCCESS" and task_id not in ended:
                found.append(f"{task_id} on {slot} is said to have succeeded, and never came to its end")
            try:
                record = app.records.header(task_id)
            except RecordNotFoundError:
                continue
            if record.done and record.success != (state == "SUCCESS"):
                found.append(f"{task_id} on {slot}: the record says {record.outcome}, Celery {state}")
            if not record.done:
                found.append(f"{task_id} on {slot}: Celery says {state}, the record is {record.status}")
            self.done[f"outcome {record.outcome}"] += 1
        return found


def main() -> int:
    """The exit code: 1 if anything was not as promised."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="A site under faults.")
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    print(f"soak of {arguments.seconds:g} s, seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="smurfq-soak-", ignore_cleanup_errors=True) as folder:
        site = LiveSite(Path(folder) / "site", SMURFQ_WORKER_LOCK_WAIT_S="10")
        site.bind()
        try:
            site.start_bridge()
            for slot in SLOTS:
                site.start_worker(slot)
            soak = Soak(site, arguments.seed)
            soak.go_on(arguments.seconds)
            breaches = soak.breaches()
        finally:
            site.close()
        breaches += [f"left behind: {orphan}" for orphan in witness.orphans(site.environ["SMURFQ_STATE_DIR"])]
    for what, times in sorted(soak.done.items()):
        print(f"{times:6d}  {what}")
    print(f"{len(soak.tasks):6d}  operations submitted")
    for breach in breaches:
        print(f"BREACH: {breach}")
    print(f"{len(breaches)} breaches")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
