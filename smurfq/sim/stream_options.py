"""Defines the options for writing a session of a stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

Plain = int | float | str  # the types of values in a status


@dataclass(frozen=True)
class StreamOptions:
    """Options for writing a session.

    Parameters
    ----------
    compressed
        Whether the timestreams are compressed.
    flac_level
        FLAC's compression level, 0 to 8.
    agg_time_s
        Duration of the data in a frame.
    high_precision
        Whether the timing system's counters run.
    file_duration_s
        Duration of a file.
    """

    compressed: bool = True
    flac_level: int = 3
    agg_time_s: float = 0.5
    high_precision: bool = False
    file_duration_s: float = 600.0


BY_DEFAULT: Final = StreamOptions()
