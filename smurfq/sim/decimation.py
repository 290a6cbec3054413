"""Filters and decimates the detectors' currents, only for detectors that change or whose filter still rings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from smurfq.sim.motion import Currents, Index
from smurfq.sim.physics.tes import Floats

# The largest content of the memory of a filter at rest: a hundredth of a count, plus rounding errors.
_RESTING_A: Final = 1e-12
_RESTING: Final = 1e-8


@dataclass(frozen=True)
class Processing:
    """Converts frames to samples: applies pysmurf's filter (``b``, ``a``, ``gain``), then keeps every ``factor``-th.

    Raises
    ------
    ValueError
        The factor is below 1, or the filter would not come to rest.
    """

    factor: int = 20
    b: tuple[float, ...] = (1.0,)
    a: tuple[float, ...] = (1.0,)
    gain: float = 1.0

    def __post_init__(self) -> None:
        if self.factor < 1:
            raise ValueError(f"a downsample factor is 1 or more; got {self.factor}")
        if not self.b or not self.a or self.a[0] == 0 or sum(self.a) == 0:
            raise ValueError(
                f"a filter needs coefficients that leave it finite at rest; got b = {self.b}, a = {self.a}"
            )

    @property
    def filters(self) -> bool:
        """Return whether the filter has a memory, so that it does more than multiply."""
        return len(self.a) > 1 or len(self.b) > 1

    @property
    def gain_at_rest(self) -> float:
        """Return the factor by which a constant is multiplied."""
        return self.gain * sum(self.b) / sum(self.a)


class Decimator:
    """The memory of the filter for every detector's current.

    A detector at rest whose filter no longer rings is a constant, and takes no time.
    """

    def __init__(self, processing: Processing, current: Floats) -> None:
        self._processing = processing
        self._filter = _StateSpace.of(processing)
        self._last = current.copy()
        self._memory = np.zeros((self._filter.order, current.size))
        self._ringing = np.zeros(current.size, np.bool_)

    def rest(self) -> None:
        """Reset the filter, as if the last currents had always been present."""
        self._ringing[:] = False

    def run(self, currents: Currents, kept: npt.NDArray[np.intp]) -> tuple[Index, Floats]:
        """Return the detectors that are not constant, and their filtered currents, ``(n_kept, n)``."""
        moved, trace = currents.moved, currents.trace
        last, self._last = self._last, currents.steady
        if not self._filter.order:
            return moved, trace[kept] * self._processing.gain_at_rest
        fresh = moved[~self._ringing[moved]]
        self._memory[:, fresh] = self._filter.at_rest[:, None] * last[fresh]
        still = self._ringing.copy()
        still[moved] = False
        (rings,) = np.nonzero(still)
        # A constant needs no trace: one row represents all frames.
        ringing = self._filtered(rings, last[rings][None, :], kept, currents.n_frames)
        moving = self._filtered(moved, trace, kept, currents.n_frames)
        return np.concatenate([moved, rings]), np.concatenate([moving, ringing], axis=1)

    def _filtered(self, index: Index, trace: Floats, kept: npt.NDArray[np.intp], n_frames: int) -> Floats:
        out = np.empty((kept.size, index.size))
        if index.size:
            memory, frame, constant = self._memory[:, index], 0, trace.shape[0] == 1
            for sample, place in enumerate([*kept.tolist(), n_frames]):
                memory = self._filter.after(memory, trace if constant else trace[frame:place], place - frame)
                frame = place
                if place < n_frames:
                    out[sample] = memory[0] + self._filter.direct * trace[0 if constant else place]
            self._memory[:, index] = memory
            left = np.abs(memory - self._filter.at_rest[:, None] * trace[-1]).max(axis=0)
            self._ringing[index] = left > _RESTING_A + _RESTING * np.abs(trace[-1])
        return out


@dataclass(frozen=True, eq=False)
class _StateSpace:
    """The transposed direct form of a filter: ``memory' = turn memory + take x``, ``y = memory[0] + direct x``."""

    turn: Floats
    take: Floats
    direct: float
    at_rest: Floats  # the memory of a constant 1

    @classmethod
    def of(cls, processing: Processing) -> _StateSpace:
        order = max(len(processing.a), len(processing.b)) - 1
        b, a = np.zeros(order + 1), np.zeros(order + 1)
        b[: len(processing.b)] = np.asarray(processing.b) * processing.gain / processing.a[0]
        a[: len(processing.a)] = np.asarray(processing.a) / processing.a[0]
        turn = np.eye(order, k=1)
        turn[:, :1] -= a[1:, None]
        take = b[1:] - a[1:] * b[0]
        return cls(turn, take, float(b[0]), np.linalg.solve(np.eye(order) - turn, take))

    @property
    def order(self) -> int:
        return self.take.size

    def after(self, memory: Floats, inputs: Floats, steps: int) -> Floats:
        """Return the memory after ``steps`` frames with ``inputs`` ``(steps, n)``, or one input for all, ``(1, n)``."""
        if not steps:
            return memory
        turned, taken = self.powers(steps)
        if inputs.shape[0] == 1 < steps:
            taken = taken.sum(axis=1, keepdims=True)
        later: Floats = turned @ memory + taken @ inputs
        return later

    @lru_cache(maxsize=256)  # noqa: B019 - bounded, and each entry is a few small arrays
    def powers(self, steps: int) -> tuple[Floats, Floats]:
        """Return how ``steps`` frames change the memory, and how each input contributes to it."""
        columns = [self.take]
        for _ in range(steps - 1):
            columns.append(self.turn @ columns[-1])
        return np.linalg.matrix_power(self.turn, steps), np.stack(columns[::-1], axis=1)
