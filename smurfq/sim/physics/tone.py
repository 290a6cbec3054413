"""Models a tone on a resonator: the frequency error that a card computes, and the loop that nulls this error.

The card multiplies the transmission at its tone by eta, the reciprocal of the transmission's slope, so that the real
part is the tone's distance from the resonance. With the flux ramp on, the loop follows that distance by a constant and
the sine and cosine of the first harmonics of the ramp's carrier, which it adapts until none of them is left in the
error: the fixed point of the LMS loop of SMuRF (C. Yu et al., *Rev. Sci. Instrum.* 94 (2023) 014712), reached here by
iteration, without the dynamics of its approach.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from smurfq.sim.physics.resonator import Complex, notch
from smurfq.sim.physics.squid import TWO_PI, ramp_phase, shift
from smurfq.sim.physics.tes import Floats

_ITERATIONS = 10
_POSITIONS = 48  # in a ramp, at which the loop is solved
_AT_REST = 0.02  # of the carrier


@dataclass(frozen=True)
class Tones:
    """Tones and the resonators around each: ``(n,)`` for what belongs to a tone, ``(n, k)`` for its resonators.

    Attributes
    ----------
    f
        Frequency of the tone (MHz).
    eta
        What the transmission is multiplied by (MHz).
    line
        Transmission at the tone but for its resonators: gain, phase and all resonators further away.
    follows
        Whether the loop may move the tone.
    f_r, q, depth
        Its resonators, at the middle of their swing; those that a tone lacks have depth 0.
    squid_lambda, swing, phase
        Their SQUIDs: lambda, swing (MHz) and the phase at the foot of the ramp (rad).
    slope_rad_per_mhz
        The phase of the line against frequency.
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
        Phi_0 that a ramp sweeps; 0 without a ramp.
    cycles
        Periods of the carrier in a ramp; 0 without one.
    harmonics
        Which harmonics of the carrier are followed.
    start, end
        The part of a ramp in which the loop adapts, as fractions of it.
    limit_mhz
        How far the loop may move a tone.
    on
        Whether it follows at all.
    """

    turns: float
    cycles: float
    harmonics: tuple[int, ...] = (1, 2, 3)
    start: float = 0.0
    end: float = 1.0
    limit_mhz: float = 0.225
    on: bool = True

    def basis(self, position: Floats) -> Floats:
        """The functions that the loop follows by, at positions in a ramp: ``(n_positions, n_functions)``."""
        columns = [np.ones_like(position)]
        for harmonic in self.harmonics if self.cycles > 0 else ():
            angle = TWO_PI * harmonic * self.cycles * position
            columns += [np.cos(angle), np.sin(angle)]
        return np.stack(columns, axis=1)


def transmissions(tones: Tones, moved: Floats, position: Floats, turns: float) -> Complex:
    """The transmission of each tone at positions in a ramp, moved by ``moved`` (MHz, ``(n, n_positions)``)."""
    f = (tones.f[:, None] + moved)[:, None, :]
    phase = tones.phase[:, :, None] + ramp_phase(position, turns)
    f_r = tones.f_r[:, :, None] + shift(phase, tones.squid_lambda[:, :, None], tones.swing[:, :, None])
    through: Complex = np.prod(notch(f, f_r, tones.q[:, :, None], tones.depth[:, :, None]), axis=1)
    if tones.slope_rad_per_mhz:
        through = through * np.exp(1j * tones.slope_rad_per_mhz * moved)
    return tones.line[:, None] * through


def error(tones: Tones, transmitted: Complex) -> Floats:
    """The frequency error that the card computes (MHz): how far the resonance is above the tone."""
    computed: Floats = -(tones.eta[:, None] * transmitted).real
    return computed


def settle(tones: Tones, loop: Loop, n_positions: int = _POSITIONS) -> Floats:
    """The coefficients of `Loop.basis` (MHz) by which the loop moves each tone once settled, ``(n, n_functions)``.

    Zero for tones that it may not move. A tone without a resonance, or whose eta is wrong, is moved to no use or runs
    into the limit.
    """
    return _settled(tones, loop, n_positions)[0]


def _settled(tones: Tones, loop: Loop, n_positions: int) -> tuple[Floats, Floats]:
    """The coefficients, and by how much the loop would still change them: the largest of a tone's, ``(n,)``."""
    position = (np.arange(n_positions) + 0.5) / n_positions
    basis = loop.basis(position)
    found = np.zeros((tones.f.size, basis.shape[1]))
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
    """Return how far the loop moves each tone (MHz) at positions in a ramp, ``(n, n_positions)``."""
    moved: Floats = np.clip(coefficients @ loop.basis(position).T, -loop.limit_mhz, loop.limit_mhz)
    return moved


def winds(tones: Tones, loop: Loop, least_mhz: float) -> npt.NDArray[np.bool_]:
    """Whether a turn of flux is a turn of each tone's demodulated phase: what a channel must do to be of any use.

    The phase is that of the carrier's first harmonic in the tone's movement. A turn of flux brings every tone back to
    where it was, so its phase has then made a whole number of turns: one where the loop has locked, none elsewhere. A
    carrier below ``least_mhz``, and a loop that has not come to rest, is not locked.
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
