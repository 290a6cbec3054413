"""Defines the options for writing a session of a stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

Plain = int | float | str  # what a status may hold


@dataclass(frozen=True)
class StreamOptions:
    """Options for writing a session.

    Parameters
    ----------
    compressed
        Whether the timestreams are compressed.
    flac_level
        How hard FLAC tries, 0 to 8.
    agg_time_s
        How much data a frame takes up.
    high_precision
        Whether the timing system's counters run.
    file_duration_s
        After how long a new file is begun.
    """

    compressed: bool = True
    flac_level: int = 3
    agg_time_s: float = 0.5
    high_precision: bool = False
    file_duration_s: float = 600.0


BY_DEFAULT: Final = StreamOptions()
