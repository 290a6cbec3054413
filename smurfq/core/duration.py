"""Formats durations as text."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Format a duration as ``0.4 s``, ``42 s``, ``3 min 05 s`` or ``2 h 10 min``; if negative, as ``0.0 s``."""
    seconds = max(0.0, seconds)
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02d} min"
