"""Computes a simulated slot's stream samples from its biases over time, without a clock or registers."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from smurfq.sim.decimation import Processing
from smurfq.sim.detectors import Detectors
from smurfq.sim.motion import Motion
from smurfq.sim.physics.circuit import BiasLines
from smurfq.sim.physics.noise import Drift, relaxation_amplitude
from smurfq.sim.physics.operating_point import OperatingPoint
from smurfq.sim.physics.tes import Floats
from smurfq.sim.radio.readout import Readout
from smurfq.sim.sampler import Counts, Sampler
from smurfq.sim.wiring import FLUX_RAMP_HZ, PA_PER_PHI0, Shape

# A drift of the power that is common to all detectors, for example from the atmosphere or the stage.
_COMMON_POWER_W: Final = 10e-18  # per sqrt(Hz), at the knee
_COMMON_KNEE_HZ: Final = 0.1
_LONGEST_STRETCH: Final = 2000  # frames at once; limits the memory needed to catch up after a pause


class SlotModel:
    """A slot's detectors over time, starting at power-up: superconducting, without bias.

    Only one thread at a time may use it. Frames are those of the flux ramp, and the caller counts them. A stretch
    begins at the end of the one before it, or later if nothing changed meanwhile.
    """

    def __init__(
        self,
        detectors: Detectors,
        seed: int,
        *,
        shape: Shape | None = None,
    ) -> None:
        shape = shape or Shape()
        self.detectors = detectors
        self._num_groups = shape.num_groups
        self._lines = BiasLines(shape.line_ohm, shape.high_current_ratio)
        self._rng = np.random.default_rng(seed)
        self._motion = Motion(detectors, 1.0 / FLUX_RAMP_HZ, shape.num_groups)
        amplitude = np.array([relaxation_amplitude(_COMMON_POWER_W, _COMMON_KNEE_HZ)])
        self._common = Drift(amplitude, self._rng)

    @property
    def resting(self) -> bool:
        """Return whether all detectors are at rest. Frames without a sampler may then be skipped at constant bias."""
        return self._motion.resting

    def point(self) -> OperatingPoint:
        """Return the current operating point of every detector."""
        return self._motion.point()

    def load(self, p_opt_w: npt.ArrayLike) -> None:
        """Set the optical power (W) of the detectors: one number for all, or one for each."""
        self._motion.load(p_opt_w)

    def turns(self) -> Floats:
        """Return the detectors' currents in units of phi_0, with the signs of their phases."""
        turns: Floats = self.detectors.polarity * self._motion.current / (PA_PER_PHI0 * 1e-12)
        return turns

    def sampler(self, mask: npt.ArrayLike, processing: Processing, readout: Readout | None = None) -> Sampler:
        """Return the sampler of the channels in ``mask`` (band * 512 + channel), for ``advance``.

        Without a ``readout``, each detector's channel shows its detector.
        """
        return Sampler(
            self.detectors,
            mask,
            processing,
            common=self._common,
            current=self._motion.current,
            rng=self._rng,
            readout=readout,
        )

    def advance(
        self,
        first_frame: int,
        bias_v: npt.ArrayLike,
        high_current: npt.ArrayLike,
        sampler: Sampler | None = None,
    ) -> tuple[npt.NDArray[np.int64], Counts]:
        """Return the frames that ``sampler`` keeps, ``(n_samples,)``, and their counts, ``(n_channels, n_samples)``.

        A frame shows the bias at its time. Without a sampler, both are empty.

        Parameters
        ----------
        first_frame
            The number of the first frame; a sample is kept where ``frame % factor == 0``.
        bias_v
            Bias voltage of each group in each frame, ``(n_groups, n_frames)``, by pysmurf's convention.
        high_current
            Whether a group is in high-current mode, ``(n_groups, n_frames)`` or ``(n_groups, 1)``.
        sampler
            The sampler of the open stream, or None.
        """
        bias_a = self._lines.current_a(bias_v, high_current)
        if bias_a.ndim != 2 or bias_a.shape[0] != self._num_groups:
            raise ValueError(f"biases have the shape ({self._num_groups}, n_frames); got {bias_a.shape}")
        frames: list[npt.NDArray[np.int64]] = [np.empty(0, np.int64)]
        counts: list[Counts] = [np.empty((0 if sampler is None else sampler.mask.size, 0), np.int32)]
        for begin in range(0, bias_a.shape[1], _LONGEST_STRETCH):
            currents = self._motion.run(bias_a[:, begin : begin + _LONGEST_STRETCH])
            if sampler is not None:
                kept, sampled = sampler.sample(first_frame + begin, currents, self._motion.responsivity)
                frames.append(kept)
                counts.append(sampled)
        return np.concatenate(frames), np.concatenate(counts, axis=1)
