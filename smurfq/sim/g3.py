"""Builds the frames of a g3 stream as smurf-streamer writes them; `smurfq.sim.streamer` adds the envelope."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import so3g  # before spt3g, which it contains
import yaml
from spt3g import core

from smurfq.sim.samples import NUM_BIAS_LINES, PRIMARY_NAMES, Samples
from smurfq.sim.stream_options import Plain

Frame = Any  # spt3g has no types

_G3_TICK_NS: Final = 10
_PROTOCOL_VERSION: Final = 1
_BZ2: Final = 2
_FLAC_AND_BZ2: Final = 3
_BZ2_WORK_FACTOR: Final = 1


def g3_time(time_s: float) -> Any:
    """Convert a time in seconds since 1970 to a g3 time."""
    return core.G3Time(round(time_s * core.G3Units.s))


def observation_frame(placement: Literal["start", "end"]) -> Frame:
    """Return the frame that starts or ends a session."""
    frame = core.G3Frame(core.G3FrameType.Observation)
    frame["stream_placement"] = placement
    return frame


def wiring_frame(status: Mapping[str, Plain], *, whole: bool) -> Frame:
    """Return a frame with the slot's status: all of it, or only the changes."""
    frame = core.G3Frame(core.G3FrameType.Wiring)
    frame["status"] = yaml.dump(dict(status), Dumper=yaml.CSafeDumper)
    frame["dump"] = int(whole)
    return frame


def scan_frame(
    samples: Samples, *, crate: int, slot: int, high_precision: bool = False, flac_level: int | None = 3
) -> Frame:
    """Return a data frame with these samples; it is not compressed if ``flac_level`` is None."""
    times = core.G3VectorTime(samples.time_ns // _G3_TICK_NS)
    header = samples.primary(high_precision=high_precision)
    frame = core.G3Frame(core.G3FrameType.Scan)
    frame["timing_paradigm"] = "High Precision" if high_precision else "Low Precision"
    frame["num_samples"] = samples.size
    frame["slow_primary"] = core.G3MapInt({"Version": _PROTOCOL_VERSION, "CrateID": crate, "SlotNumber": slot})
    frame["data"] = _timestream(_names("r", 4, samples.num_channels), times, samples.counts, flac_level, _FLAC_AND_BZ2)
    frame["tes_biases"] = _timestream(_names("bias", 2, NUM_BIAS_LINES), times, samples.bias_lines(), flac_level, _BZ2)
    frame["primary"] = _timestream(PRIMARY_NAMES, times, header, flac_level, _BZ2)
    return frame


def writer(path: Path) -> Callable[[Frame], Any]:
    """Return a writer of frames to a file; the file is complete after `end_frame`."""
    found: Callable[[Frame], Any] = core.G3Writer(str(path))
    return found


def end_frame() -> Frame:
    """Return the frame that completes a file; this frame is not written."""
    return core.G3Frame(core.G3FrameType.EndProcessing)


@lru_cache(maxsize=8)
def _names(prefix: str, digits: int, count: int) -> tuple[str, ...]:
    return tuple(f"{prefix}{number:0{digits}}" for number in range(count))


def _timestream(
    names: Sequence[str], times: Any, values: np.ndarray[Any, Any], flac_level: int | None, algorithm: int
) -> Any:
    stream = so3g.G3SuperTimestream(core.G3VectorString(names), times, np.ascontiguousarray(values))
    if flac_level is None:
        stream.options(enable=0)
    else:
        stream.options(
            enable=1, flac_level=flac_level, bz2_workFactor=_BZ2_WORK_FACTOR, data_algo=algorithm, times_algo=_BZ2
        )
    return stream
