"""Computes the currents of a slot's sensors over time; only sensors that a change set in motion are computed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from smurfq.sim.detectors import Detectors
from smurfq.sim.physics.circuit import solve_current
from smurfq.sim.physics.dynamics import change_bias, step
from smurfq.sim.physics.operating_point import OperatingPoint, responsivity
from smurfq.sim.physics.tes import Floats, TesParameters

Index = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]

# A sensor is at rest if a frame changes neither by more than this, far below the readout's resolution (140 pA a count).
_RESTING_A: Final = 0.2e-12
_RESTING_K: Final = 1e-6
_FRAMES_BETWEEN_LOOKS: Final = 16


@dataclass(frozen=True)
class Currents:
    """The sensors' currents over a stretch of frames: frame by frame if they changed, otherwise as one number.

    Attributes
    ----------
    steady
        Current of every detector at the end of the stretch (A), ``(n_detectors,)``.
    moved
        Whether each detector's current changed.
    trace
        The currents of the detectors that changed, ``(n_frames, n_moved)``.
    n_frames
        Length of the stretch.
    """

    steady: Floats
    moved: Index
    trace: Floats
    n_frames: int


class Motion:
    """The temperatures and currents of a slot's sensors, and a mask of those that are changing."""

    def __init__(self, detectors: Detectors, frame_s: float, n_groups: int) -> None:
        self._frame_s = frame_s
        self._group = np.where(detectors.responsive, detectors.bias_group, -1)
        self._bias_a: Floats = np.zeros(n_groups)
        self._tes = detectors.tes
        self._temperature: Floats = _without_bias(detectors.tes)
        self._moving: Flags = np.zeros(len(detectors), np.bool_)
        self.current: Floats = np.zeros(len(detectors))
        self.responsivity: Floats = np.zeros(len(detectors))

    @property
    def resting(self) -> bool:
        """Return whether all sensors are at rest."""
        return not self._moving.any()

    def point(self) -> OperatingPoint:
        """Return the present operating point of every sensor."""
        bias = np.where(self._group >= 0, self._bias_a[self._group], 0.0)
        current, r = solve_current(self._tes, self._temperature, bias)
        return OperatingPoint(self._temperature.copy(), r, current, bias)

    def load(self, p_opt: npt.ArrayLike) -> None:
        """Set the optical power (W) of the sensors: one number for all, or one for each."""
        power = np.broadcast_to(np.asarray(p_opt, np.float64), self._tes.p_opt.shape).copy()
        self._tes = replace(self._tes, p_opt=power)
        self._moving = self._group >= 0

    def run(self, bias_a: Floats) -> Currents:
        """Return the currents over the next frames for the line currents ``bias_a`` (A), ``(n_groups, n_frames)``."""
        changed = np.diff(bias_a, axis=1, prepend=self._bias_a[:, None]) != 0
        woken = changed.any(axis=1)
        moved: Index = np.nonzero(self._moving | (woken[self._group] & (self._group >= 0)))[0]
        trace: Floats = np.tile(self.current[moved], (bias_a.shape[1], 1))
        if moved.size:
            self._run(moved, bias_a, changed, trace)
            self.responsivity = responsivity(self._tes, self.point())
        return Currents(self.current.copy(), moved, trace, bias_a.shape[1])

    def _run(self, moved: Index, bias_a: Floats, changed: Flags, trace: Floats) -> None:
        """Write the currents of ``moved`` into ``trace``, from change to change of the biases."""
        stretch = _Stretch(self._tes.take(moved), self._group[moved], self._frame_s, trace)
        stretch.temperature, stretch.current = self._temperature[moved], self.current[moved]
        stretch.wake(self._moving[moved])
        changes = np.nonzero(changed.any(axis=0))[0].tolist()
        for begin, end in pairwise([0, *changes, bias_a.shape[1]]):
            if end > begin:
                if changed[:, begin].any():
                    stretch.wake(changed[stretch.group, begin])
                    stretch.change(self._bias_a, bias_a[:, begin])
                    self._bias_a = bias_a[:, begin].copy()
                stretch.run(begin, end, self._bias_a)
        self._temperature[moved], self.current[moved] = stretch.temperature, stretch.current
        self._moving[moved] = stretch.awake


class _Stretch:
    """The sensors that change during some frames. Sensors that have come to rest are inactive."""

    def __init__(self, tes: TesParameters, group: Index, frame_s: float, trace: Floats) -> None:
        self._tes = tes
        self.group = group
        self._frame_s = frame_s
        self._trace = trace
        self.temperature: Floats = np.empty(group.size)
        self.current: Floats = np.empty(group.size)
        self._select(np.zeros(group.size, np.bool_))

    def wake(self, flags: Flags) -> None:
        """Also activate these sensors."""
        if (flags & ~self.awake).any():
            self._select(self.awake | flags)

    def change(self, old_a: Floats, new_a: Floats) -> None:
        """Change the currents of the lines."""
        index, group = self._index, self.group[self._index]
        warm = change_bias(self._awake_tes, self.temperature[index], old_a[group], new_a[group], self._frame_s)
        self.temperature[index] = warm

    def run(self, begin: int, end: int, bias_a: Floats) -> None:
        """Compute the active sensors from frame ``begin`` to ``end``, at constant line currents."""
        while begin < end and self._index.size:
            look = min(end, begin + _FRAMES_BETWEEN_LOOKS - begin % _FRAMES_BETWEEN_LOOKS)
            self._advance(begin, look, bias_a)
            begin = look

    def _advance(self, begin: int, end: int, bias_a: Floats) -> None:
        index, bias = self._index, bias_a[self.group[self._index]]
        warm, current = self.temperature[index], self.current[index]
        for frame in range(begin, end):
            before, was = warm, current
            warm, current = step(self._awake_tes, before, bias, self._frame_s)
            self._trace[frame, index] = current
        self.temperature[index], self.current[index] = warm, current
        if end % _FRAMES_BETWEEN_LOOKS == 0:
            self._settle(end, (np.abs(current - was) < _RESTING_A) & (np.abs(warm - before) < _RESTING_K))

    def _settle(self, frame: int, resting: Flags) -> None:
        """Deactivate the sensors at rest, and write their currents for the remaining frames."""
        asleep = self._index[resting]
        if asleep.size:
            self._trace[frame:, asleep] = self.current[asleep]
            awake = self.awake.copy()
            awake[asleep] = False
            self._select(awake)

    def _select(self, awake: Flags) -> None:
        self.awake = awake
        (self._index,) = np.nonzero(awake)
        self._awake_tes = self._tes.take(self._index)


def _without_bias(tes: TesParameters) -> Floats:
    """Return the temperatures (K) at which the optical power alone is in balance with the bath."""
    hot: Floats = (tes.t_b**tes.exponent + tes.p_opt / tes.k) ** (1.0 / tes.exponent)
    return hot
