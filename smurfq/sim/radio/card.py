"""Defines the slot's interface for the radio side, and the thread that does its work.

Sweeps and captures are computed in a separate thread, one at a time, so that the server continues to answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any, Protocol

import numpy as np

from smurfq.sim.faults import Faults
from smurfq.sim.physics.tes import Floats
from smurfq.sim.radio.band import BandModel
from smurfq.sim.radio.settings import BandSettings, settings_of
from smurfq.sim.registers import Value

logger = logging.getLogger(__name__)

Handler = Callable[[Any, float], None]
Results = Mapping[str, Value]
Work = Callable[[], Results]


class Card(Protocol):
    """The interface of a slot for its radio side."""

    id: str
    faults: Faults

    def value(self, name: str) -> Value:
        """Return the value of a register."""
        ...

    def update(self, changes: Results) -> None:
        """Change registers and notify subscribers."""
        ...

    def notify(self, names: Iterable[str]) -> None:
        """Notify subscribers of the values of registers, changed or not."""
        ...

    def amplifier_loss_db(self, band: int) -> float:
        """Return the missing gain of a band's amplifiers."""
        ...

    def turns(self) -> Floats:
        """Return the detectors' currents in units of phi_0, with their signs."""
        ...


class Bench:
    """A card with the models of its bands, from which scans and captures start."""

    def __init__(self, card: Card, models: Sequence[BandModel], executor: Executor | None) -> None:
        self.card = card
        self.models = tuple(models)
        self._executor = executor
        self._tasks: set[asyncio.Task[None]] = set()

    def model(self, band: int) -> BandModel:
        """Return a band, with its resonators if they resonate."""
        model = self.models[band]
        if band in self.card.faults.no_resonators:
            return BandModel(band, model.resonators.take(np.zeros(0, np.int64)))
        return model

    def now(self, band: int) -> tuple[BandModel, BandSettings, Floats]:
        """Return a band, its settings and the detectors' currents (phi_0) at this moment."""
        settings = settings_of(band, self.card.value, self.card.amplifier_loss_db(band))
        return self.model(band), settings, self.card.turns()

    def number(self, name: str) -> float:
        """Return the value of a register with one number."""
        value = self.card.value(name)
        assert isinstance(value, int | float)
        return value

    async def compute(self, work: Work) -> Results:
        """Run ``work`` in the work thread and return its result."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run ``work`` in the background."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("%s: the radio side failed", self.card.id, exc_info=task.exception())


def is_set(value: Any) -> bool:
    """Return whether the value that was put into a command requests it."""
    return bool(np.ravel(value)[0])
