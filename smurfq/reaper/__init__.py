"""Gives a final state to runs whose worker or message is gone, so that nobody waits for them without end.

The record ends as ``lost``, and so do the rest of its chain, its chord and its error callbacks. The reaper sweeps in
the bridge. A worker reaps its own publisher id when it starts, and writes the outcome of runs that it has lost.
"""

from smurfq.reaper.outcome_writer import OutcomeWriter
from smurfq.reaper.reaper import Reaper

__all__ = ["OutcomeWriter", "Reaper"]
