"""Defines consecutive samples of a stream: counts of every channel, biases, and the header of each sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import numpy.typing as npt

from smurfq.errors import StreamError

PRIMARY_NAMES: Final = (
    "UnixTime",
    "FluxRampIncrement",
    "FluxRampOffset",
    "Counter0",
    "Counter1",
    "Counter2",
    "TimingBits",
    "FrameCounter",
    "TESRelaySetting",
)
NUM_BIAS_LINES: Final = 16

_COUNTER_HZ: Final = 480_000
_NS: Final = 1_000_000_000
_EPICS_EPOCH_S: Final = 5 * (4 * 365 + 1) * 86400  # 1990, the epoch of the timing system

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Samples:
    """Consecutive samples of a stream.

    Parameters
    ----------
    time_ns
        Time of each sample, in nanoseconds since 1970, shape (n,).
    counts
        SQUID phase, 2**16 counts a turn, unwrapped; row ``i`` is the channel ``Mask[i]``, shape (n_channels, n).
    tes_biases
        Half the difference of a bias group's two DACs, in DAC bits, shape (up to 16, n).
    frame_counter
        The number of each sample's flux ramp frame, shape (n,).
    relays
        The cryocard's relay word, shape (n,).

    Raises
    ------
    StreamError
        The shapes do not match.
    """

    time_ns: Int64
    counts: Int32
    tes_biases: Int32
    frame_counter: Int64
    relays: Int64

    def __post_init__(self) -> None:
        size = self.time_ns.size
        shapes = {field.name: getattr(self, field.name).shape for field in fields(self)}
        wrong = [name for name, shape in shapes.items() if shape[-1:] != (size,)]
        flat = [name for name in ("counts", "tes_biases") if len(shapes[name]) != 2]
        if wrong or flat or shapes["tes_biases"][0] > NUM_BIAS_LINES:
            raise StreamError(
                f"samples need as many columns as times, two dimensions of counts and biases, and at most "
                f"{NUM_BIAS_LINES} bias lines; got {shapes}"
            )

    @property
    def size(self) -> int:
        """Return the number of samples of each channel."""
        return int(self.time_ns.size)

    @property
    def num_channels(self) -> int:
        """Return the number of channels."""
        return int(self.counts.shape[0])

    def bias_lines(self) -> Int32:
        """Return the biases of the header's 16 lines, shape (16, n); 0 for lines that the slot does not have."""
        lines = np.zeros((NUM_BIAS_LINES, self.size), np.int32)
        lines[: len(self.tes_biases)] = self.tes_biases
        return lines

    def primary(self, *, high_precision: bool) -> Int64:
        """Return the header of every sample, with rows as in `PRIMARY_NAMES`, shape (9, n).

        With ``high_precision``, the timing system's counters run. Without it, they are 0, and readers fit the time
        to ``FrameCounter``.
        """
        rows = {"UnixTime": self.time_ns, "FrameCounter": self.frame_counter, "TESRelaySetting": self.relays}
        if high_precision:
            rows["Counter0"], rows["Counter2"] = timing_counters(self.time_ns)
        header = np.zeros((len(PRIMARY_NAMES), self.size), np.int64)
        for name, row in rows.items():
            header[PRIMARY_NAMES.index(name)] = row
        return header


def timing_counters(time_ns: Int64) -> tuple[Int64, Int64]:
    """Return Counter0 and Counter2 of the timing system at these times.

    Counter0 counts at 480 kHz and restarts every second. Counter2 has the seconds since 1990 in its upper 32 bits, and
    nanoseconds in its lower 32 bits.
    """
    seconds, rest_ns = np.divmod(time_ns, _NS)
    return rest_ns * _COUNTER_HZ // _NS, (seconds - _EPICS_EPOCH_S) << 32 | rest_ns


def joined(parts: Sequence[Samples]) -> Samples:
    """Concatenate consecutive samples of one stream. All must have the same channels and bias lines."""
    if len(parts) == 1:
        return parts[0]
    names = [field.name for field in fields(Samples)]
    return Samples(*(np.concatenate([getattr(part, name) for part in parts], axis=-1) for name in names))
