"""Computes the transmission of a feedline with many resonators.

A resonator of a microwave multiplexer shunts its line and shows as a notch,
``S21 = 1 - (Q/|Q_c|) e^(j phi)/(1 + 2j Q (f - f_r)/f_r)`` with ``1/Q = 1/Q_i + 1/Q_c`` (M. S. Khalil et al., *J. Appl.
Phys.* 111 (2012) 054510; S. Probst et al., *Rev. Sci. Instrum.* 86 (2015) 024706, where phi is the impedance mismatch).
Frequencies are in MHz throughout; only their ratios matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from smurfq.sim.physics.tes import Floats

Complex = npt.NDArray[np.complex128]

# The contributions of resonators further from a stretch of the line than this are summed at its beginning, middle and
# end. Between, they are a parabola to about 1e-5 rad.
_STRETCH_MHZ = 2.4
_NEAR_MHZ = 8.0


@dataclass(frozen=True)
class Notches:
    """Resonators of one line, in rising order of frequency; arrays of shape ``(n,)``.

    Attributes
    ----------
    f_r
        Resonance frequency (MHz).
    q
        Loaded quality factor.
    depth
        ``(Q/|Q_c|) e^(j phi)``: the depth of the notch.
    """

    f_r: Floats
    q: Floats
    depth: Complex

    def take(self, index: Any) -> Notches:
        """Return the resonators that ``index`` selects, in its shape."""
        return Notches(self.f_r[index], self.q[index], self.depth[index])


def loaded_q(q_i: Floats | float, q_c: Floats | float) -> Floats:
    """Return the loaded quality factor, ``1/(1/Q_i + 1/Q_c)``."""
    q: Floats = np.asarray(1.0 / (1.0 / np.asarray(q_i) + 1.0 / np.asarray(q_c)))
    return q


def notch(f: Floats, f_r: Floats, q: Floats, depth: Complex) -> Complex:
    """Return the transmission at ``f`` past a resonator; all arguments are broadcast."""
    return (1.0 - depth / (1.0 + 2j * q * (f - f_r) / f_r)).astype(np.complex128, copy=False)


def transmission(f: Floats, notches: Notches) -> Complex:
    """Return the transmission at ``f`` (MHz, any shape) past all resonators of a line.

    The result agrees with the product of `notch` over all resonators to about 1e-5. The cost grows with the density of
    the resonators, not with their number.
    """
    flat = np.asarray(f, np.float64).ravel()
    if not flat.size or not notches.f_r.size:
        return np.ones(np.shape(f), np.complex128)
    order = np.argsort(flat, kind="stable")
    rising = flat[order]
    found = np.empty(flat.size, np.complex128)
    edges = np.arange(rising[0], rising[-1] + _STRETCH_MHZ, _STRETCH_MHZ)
    cuts = [*np.searchsorted(rising, edges).tolist(), rising.size]
    for number, low in enumerate(edges.tolist()):
        begin, end = cuts[number], cuts[number + 1]
        if begin < end:
            found[order[begin:end]] = _stretch(rising[begin:end], low, low + _STRETCH_MHZ, notches)
    return found.reshape(np.shape(f))


def _stretch(f: Floats, low: float, high: float, notches: Notches) -> Complex:
    """Return the transmission within one stretch of the line: near resonators one by one, the others as a parabola."""
    first, last = np.searchsorted(notches.f_r, [low - _NEAR_MHZ, high + _NEAR_MHZ])
    near = notches.take(slice(first, last))
    far = notches.take(np.r_[0:first, last : notches.f_r.size])
    through: Complex = np.prod(notch(f[:, None], near.f_r, near.q, near.depth), axis=1)
    if far.f_r.size:
        at = np.array([low, 0.5 * (low + high), high])
        logs = np.log(notch(at[:, None], far.f_r, far.q, far.depth)).sum(axis=1)
        u = (f - low) / (high - low)
        weights = np.stack([(2 * u - 1) * (u - 1), 4 * u * (1 - u), u * (2 * u - 1)], axis=1)
        through *= np.exp(weights @ logs)
    return through
