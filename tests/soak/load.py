"""What a soak asks of its site: scripts that publish, chains, groups, chords, and what a simulated slot can do.

What is asked for is drawn from the seed and a running number alone, whatever the site is doing meanwhile.
"""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO

from celery import chain, chord, group
from celery.utils import uuid

from smurfq.app import app
from smurfq.store.redis_errors import AWAY
from smurfq.tasks import run, set_biases, stream, take_noise, zero_biases
from smurfq.tasks import test as trial
from tests.site.process_group import ROOT
from tests.soak.site import SoakSite
from tests.soak.witness import Submitted

_PAUSE_S = 0.1
_KINDS = ("one", "one", "one", "one", "chain", "group", "chord", "trial")
_ON_CARDS = ("streaming", "card")


@dataclass(frozen=True)
class Plan:
    """What an operation of a soak does, in the time of ``seconds``; see ``scripts``."""

    value: str
    seconds: float
    messages: int = 20
    files: int = 2
    stray: bool = False
    silent_end: float = 0.0
    fails: bool = False


class Load(threading.Thread):
    """Keeps something waiting for every slot until it is told to finish."""

    def __init__(self, site: SoakSite, seed: int, waiting_per_slot: int) -> None:
        super().__init__(name="load", daemon=True)
        self._site = site
        self._waiting_per_slot = waiting_per_slot
        self._seed = seed
        self._finishing = threading.Event()
        self.submitted: dict[str, Submitted] = {}
        self.asked_to_tell: set[tuple[str, str]] = set()
        self.done: Counter[str] = Counter()
        self.told = site.folder / "told"
        with (site.folder / "waiter.log").open("ab") as log:
            self._waiter = self._start_waiter(log)

    def _start_waiter(self, log: BinaryIO) -> subprocess.Popen[str]:
        site = self._site
        return subprocess.Popen(
            [sys.executable, "-m", "tests.soak.waiter", str(self.told)],
            cwd=ROOT,
            env={**site.environ, "PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(site.folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=log,
            text=True,
            bufsize=1,
        )

    def run(self) -> None:
        """Submit one thing after the other."""
        number = 0
        while not self._finishing.is_set():
            hungry = [slot for slot in self._site.slots if self._is_hungry(slot)]
            if not hungry:
                self._finishing.wait(_PAUSE_S)
                continue
            number += 1
            chance = random.Random(f"{self._seed}-load-{number}")
            kind = chance.choice(_ON_CARDS if set(hungry) <= set(self._site.simulated) else _KINDS)
            self._submit(kind, chance, number)

    def _is_hungry(self, slot: str) -> bool:
        try:
            return len(app.waiting.waiting_in(slot)) < self._waiting_per_slot
        except AWAY:
            return slot not in self._site.simulated  # it is tried, and refused

    def finish(self) -> None:
        """Submit no more."""
        self._finishing.set()
        self.join()

    def close(self) -> None:
        """End who waits."""
        assert self._waiter.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._waiter.stdin.close()
        self._waiter.wait(10)

    def _submit(self, kind: str, chance: random.Random, number: int) -> None:
        asked, canvas = getattr(self, f"_{kind}")(chance, f"v{number}")
        self.done[kind] += 1
        try:
            canvas.apply_async()
        except Exception as error:  # noqa: BLE001 - Redis is away, in whatever words kombu and redis-py have for it
            self.done[f"refused ({type(error).__name__})"] += 1
            asked = [Submitted(**{**asdict(each), "refused": True}) for each in asked]
        self.submitted |= {each.task_id: each for each in asked}
        self._have_waited_for(asked, chance, kind)

    def _have_waited_for(self, asked: list[Submitted], chance: random.Random, kind: str) -> None:
        if any(each.refused for each in asked):
            return
        # smurfq's client knows what was queued: a later step of a chain has no record before its turn.
        way = "group" if kind == "group" else "get" if asked[-1].after else chance.choice(["get", "wait"])
        task_ids = [each.task_id for each in asked] if kind == "group" else [asked[-1].task_id]
        assert self._waiter.stdin is not None
        self._waiter.stdin.write(f"{way} {' '.join(task_ids)}\n")
        self.asked_to_tell.add((task_ids[0], way))

    def _slot(self, chance: random.Random) -> str:
        return chance.choice([slot for slot in self._site.slots if slot not in self._site.simulated])

    def _script(
        self, chance: random.Random, value: str, kind: str, after: tuple[str, ...] = (), **more: Any
    ) -> tuple[Submitted, Any]:
        slot = self._slot(chance)
        plan = Plan(
            value,
            round(chance.uniform(0.05, 1.5), 2),
            stray=chance.random() < 0.2,
            silent_end=round(chance.uniform(0.2, 1.0), 2) if chance.random() < 0.3 else 0.0,
            **more,
        )
        return self._run(slot, self._site.publishing, plan, kind, after)

    def _run(self, slot: str, script: str, plan: Plan, kind: str, after: tuple[str, ...] = ()) -> tuple[Submitted, Any]:
        task_id = uuid()
        args = [str(self._site.journal(slot)), json.dumps(asdict(plan))]
        signature = run.si(slot=slot, script=script, args=args).set(task_id=task_id)
        return Submitted(task_id, slot, kind, value=plan.value, after=after, fails=plan.fails), signature

    def _one(self, chance: random.Random, value: str) -> tuple[list[Submitted], Any]:
        asked, signature = self._script(chance, value, "script", fails=chance.random() < 0.05)
        return [asked], signature

    def _chain(self, chance: random.Random, value: str) -> tuple[list[Submitted], Any]:
        asked: list[Submitted] = []
        steps = []
        for step in range(chance.randint(2, 4)):
            after = (asked[-1].task_id,) if asked else ()
            each, signature = self._script(chance, f"{value}.{step}", "step of a chain", after)
            asked.append(each)
            steps.append(signature)
        return asked, chain(*steps)

    def _group(self, chance: random.Random, value: str) -> tuple[list[Submitted], Any]:
        found = [
            self._script(chance, f"{value}.{member}", "member of a group") for member in range(chance.randint(2, 4))
        ]
        return [asked for asked, _ in found], group([signature for _, signature in found])

    def _chord(self, chance: random.Random, value: str) -> tuple[list[Submitted], Any]:
        found = [
            self._script(chance, f"{value}.{member}", "member of a chord") for member in range(chance.randint(2, 3))
        ]
        after = tuple(asked.task_id for asked, _ in found)
        body, signature = self._script(chance, f"{value}.body", "body of a chord", after)
        return [*(asked for asked, _ in found), body], chord([each for _, each in found], signature)

    def _trial(self, chance: random.Random, _value: str) -> tuple[list[Submitted], Any]:
        task_id, slot = uuid(), self._slot(chance)
        return [Submitted(task_id, slot, "test", journalled=False)], trial.si(slot=slot).set(task_id=task_id)

    def _streaming(self, chance: random.Random, value: str) -> tuple[list[Submitted], Any]:
        slot = chance.choice(self._site.simulated)
        plan = Plan(value, round(chance.uniform(0.2, 2.0), 2))
        asked, signature = self._run(slot, self._site.streaming, plan, "script that streams")
        return [asked], signature

    def _card(self, chance: random.Random, _value: str) -> tuple[list[Submitted], Any]:
        """What the operations of the table do on a card; they have no journal."""
        task_id, slot = uuid(), chance.choice(self._site.simulated)
        signature = chance.choice(
            [
                stream.si(slot=slot, duration=round(chance.uniform(0.2, 2.0), 2)),
                take_noise.si(slot=slot, duration=2.0, kwargs={"nperseg": 64, "show_plot": False}),
                set_biases.si(slot=slot, bias=round(chance.uniform(0.0, 2.0), 2)),
                zero_biases.si(slot=slot),
            ]
        )
        return [Submitted(task_id, slot, signature.task, journalled=False)], signature.set(task_id=task_id)
