"""Models a tone on a resonator: the frequency error that a card computes, and the loop that nulls this error.

The card multiplies the transmission at its tone by eta, the reciprocal of the transmission's slope. The real part is
then the tone's distance from the resonance. With the flux ramp on, the loop follows that distance with a constant and
the sine and cosine of the first harmonics of the ramp's carrier. It adapts their coefficients until none of them is
left in the error: the fixed point of SMuRF's LMS loop (C. Yu et al., *Rev. Sci. Instrum.* 94 (2023) 014712). Here, the
fixed point is found by iteration, without the dynamics of the loop.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from smurfq.sim.physics.resonator import Complex, notch
from smurfq.sim.physics.squid import TWO_PI, ramp_phase, shift
from smurfq.sim.physics.tes import Floats

_ITERATIONS = 10
_POSITIONS = 48  # positions in a ramp for which the loop is solved
_AT_REST = 0.02  # relative to the carrier


@dataclass(frozen=True)
class Tones:
    """Tones and the resonators around each; shape ``(n,)`` for tones, ``(n, k)`` for their resonators.

    Attributes
    ----------
    f
        Frequency of the tone (MHz).
    eta
        Factor by which the transmission is multiplied (MHz).
    line
        Transmission at the tone without its resonators: gain, phase and all resonators further away.
    follows
        Whether the loop may move the tone.
    f_r, q, depth
        Its resonators, at the middle of their swing; missing ones have depth 0.
    squid_lambda, swing, phase
        Their SQUIDs: lambda, swing (MHz) and the phase at the foot of the ramp (rad).
    slope_rad_per_mhz
        Derivative of the line's phase with frequency.
    """

    f: Floats
    eta: Complex
    line: Complex
    follows: npt.NDArray[np.bool_]
    f_r: Floats
    q: Floats
    depth: Complex
    squid_lambda: Floats
    swing: Floats
    phase: Floats
    slope_rad_per_mhz: float = 0.0


@dataclass(frozen=True)
class Loop:
    """The settings of the loop.

    Attributes
    ----------
    turns
        The number of Phi_0 that a ramp sweeps; 0 without a ramp.
    cycles
        Periods of the carrier in a ramp; 0 without one.
    harmonics
        The harmonics of the carrier that the loop follows.
    start, end
        The part of a ramp in which the loop adapts, as fractions of it.
    limit_mhz
        The largest distance by which the loop may move a tone.
    on
        Whether the loop is on.
    """

    turns: float
    cycles: float
    harmonics: tuple[int, ...] = (1, 2, 3)
    start: float = 0.0
    end: float = 1.0
    limit_mhz: float = 0.225
    on: bool = True

    def basis(self, position: Floats) -> Floats:
        """Return the basis functions of the loop at positions in a ramp: ``(n_positions, n_functions)``."""
        columns = [np.ones_like(position)]
        for harmonic in self.harmonics if self.cycles > 0 else ():
            angle = TWO_PI * harmonic * self.cycles * position
            columns += [np.cos(angle), np.sin(angle)]
        return np.stack(columns, axis=1)


def transmissions(tones: Tones, moved: Floats, position: Floats, turns: float) -> Complex:
    """Return each tone's transmission at positions in a ramp, moved by ``moved`` (MHz, ``(n, n_positions)``)."""
    f = (tones.f[:, None] + moved)[:, None, :]
    phase = tones.phase[:, :, None] + ramp_phase(position, turns)
    f_r = tones.f_r[:, :, None] + shift(phase, tones.squid_lambda[:, :, None], tones.swing[:, :, None])
    through: Complex = np.prod(notch(f, f_r, tones.q[:, :, None], tones.depth[:, :, None]), axis=1)
    if tones.slope_rad_per_mhz:
        through = through * np.exp(1j * tones.slope_rad_per_mhz * moved)
    return tones.line[:, None] * through


def error(tones: Tones, transmitted: Complex) -> Floats:
    """Return the frequency error that the card computes (MHz): the resonance's frequency minus the tone's."""
    computed: Floats = -(tones.eta[:, None] * transmitted).real
    return computed


def settle(tones: Tones, loop: Loop, n_positions: int = _POSITIONS) -> Floats:
    """Return the coefficients of `Loop.basis` (MHz) with which a settled loop moves each tone, ``(n, n_functions)``.

    They are zero for tones that it may not move. A tone without a resonance, or with a wrong eta, is moved to a useless
    place or to the limit.
    """
    return _settled(tones, loop, n_positions)[0]


def _settled(tones: Tones, loop: Loop, n_positions: int) -> tuple[Floats, Floats]:
    """Return the coefficients, and the largest change that the loop would still make to a tone's, ``(n,)``."""
    position = (np.arange(n_positions) + 0.5) / n_positions
    basis = loop.basis(position)
    found: Floats = np.zeros((tones.f.size, basis.shape[1]))
    still = np.zeros(tones.f.size)
    if not loop.on or not tones.follows.any():
        return found, still
    window = (position >= loop.start) & (position <= loop.end)
    if window.sum() < basis.shape[1]:
        return found, still
    fit = np.linalg.pinv(basis[window])
    seen = position[window]
    for _ in range(_ITERATIONS):
        moved = np.clip(found @ basis[window].T, -loop.limit_mhz, loop.limit_mhz)
        change = error(tones, transmissions(tones, moved, seen, loop.turns)) @ fit.T
        found = np.clip(found + change, -loop.limit_mhz, loop.limit_mhz)
        still = np.abs(change).max(axis=1)
    found[~tones.follows] = 0.0
    return found, still


def followed(coefficients: Floats, loop: Loop, position: Floats) -> Floats:
    """Return the distance by which the loop moves each tone (MHz) at positions in a ramp, ``(n, n_positions)``."""
    moved: Floats = np.clip(coefficients @ loop.basis(position).T, -loop.limit_mhz, loop.limit_mhz)
    return moved


def winds(tones: Tones, loop: Loop, least_mhz: float) -> npt.NDArray[np.bool_]:
    """Return whether each tone tracks: one turn of flux must be one turn of the tone's demodulated phase.

    The phase is that of the carrier's first harmonic in the tone's movement. After a turn of flux, every tone is where
    it was, so its phase has made a whole number of turns: one if the loop has locked, otherwise none. A carrier below
    ``least_mhz``, or a loop that has not settled, is not locked.
    """
    none = np.zeros(tones.f.size, np.bool_)
    if loop.cycles <= 0 or 1 not in loop.harmonics or not loop.turns:
        return none
    carriers, strong = [], np.ones(tones.f.size, np.bool_)
    for step in range(3):
        turned = replace(tones, phase=tones.phase + TWO_PI * step / 3)
        moved, still = _settled(turned, loop, _POSITIONS)
        carrier = moved[:, 1] - 1j * moved[:, 2]
        strong &= (np.abs(carrier) > least_mhz) & (still < _AT_REST * np.abs(carrier))
        carriers.append(carrier)
    steps = [np.angle(carriers[(step + 1) % 3] * np.conj(carriers[step])) for step in range(3)]
    turns = np.abs(np.sum(steps, axis=0)) / TWO_PI
    locked: npt.NDArray[np.bool_] = strong & (turns > 0.5)
    return locked
