"""Models the 32 slow DACs and the tables that are played on them, and records the time of every change."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from smurfq.sim.registers import NUM_DACS, TABLE_SIZE
from smurfq.sim.waveforms import BiasState, Bits, Playback, no_bias

_SILENT: Final = Playback(0, (0, 0), (np.zeros(TABLE_SIZE, np.int64), np.zeros(TABLE_SIZE, np.int64)), 1, 0.0)


class SlowDacs:
    """The slow DACs of a slot: their current state, and earlier states that a stream has not processed yet.

    One thread writes, another reads. Times only increase.
    """

    def __init__(self, now: float) -> None:
        self._lock = threading.Lock()
        self._states: list[BiasState] = [no_bias(now)]
        self._loaded = _SILENT  # played while enabled and continuous
        self._continuous = False

    @property
    def dacs(self) -> Bits:
        """Return the values of the 32 DACs, without the tables."""
        return self._states[-1].dacs

    @property
    def playing(self) -> bool:
        """Return whether tables are being played."""
        return self._states[-1].playback is not None

    def set_dac(self, number: int, bits: int, now: float) -> None:
        """Set one DAC (1 to 32)."""
        values = self.dacs.copy()
        values[number - 1] = bits
        self.set_dacs(values, now)

    def set_dacs(self, bits: npt.ArrayLike, now: float) -> None:
        """Set all DACs."""
        self._add(replace(self._states[-1], since=now, dacs=np.array(bits, np.int64)[:NUM_DACS]))

    def set_relays(self, word: int, now: float) -> None:
        """Set the relays, one bit each; those of bias groups put them into high-current mode."""
        self._add(replace(self._states[-1], since=now, relays=word))

    def load_table(self, table: int, bits: npt.ArrayLike, now: float) -> None:
        """Load one of the two tables."""
        tables = list(self._loaded.tables)
        tables[table] = np.array(bits, np.int64)
        self._play(replace(self._loaded, tables=(tables[0], tables[1])), now)

    def address(self, table: int, dac: int, now: float) -> None:
        """Select the DAC (1 to 32; 0: none) that a table drives."""
        dacs = list(self._loaded.dacs)
        dacs[table] = dac
        self._play(replace(self._loaded, dacs=(dacs[0], dacs[1])), now)

    def set_timer(self, ticks: int, now: float) -> None:
        """Set the duration of each entry of a table, in ticks of 6.4 ns."""
        self._play(replace(self._loaded, timer_size=ticks), now)

    def enable(self, tables: int, now: float) -> None:
        """Start (bit 0, bit 1) or stop (0) the tables; a DAC keeps the last value that was played on it."""
        starts = tables != 0 and self._loaded.enabled == 0
        if self.playing and tables == 0:
            self.set_dacs(self._states[-1].dacs_at(np.array([now]))[:, 0], now)
        self._play(replace(self._loaded, enabled=tables, started_at=now if starts else self._loaded.started_at), now)

    def set_continuous(self, continuous: bool, now: float) -> None:
        """Play the enabled tables repeatedly, from their first entries."""
        starts = continuous and not self._continuous
        self._continuous = continuous
        self._play(replace(self._loaded, started_at=now) if starts else self._loaded, now)

    def states(self) -> Sequence[BiasState]:
        """Return the states that are still kept, in order of time. The last one is the current state."""
        with self._lock:
            return tuple(self._states)

    def forget(self, before: float) -> None:
        """Discard the states that ended ``before`` a time."""
        with self._lock:
            while len(self._states) > 1 and self._states[1].since <= before:
                del self._states[0]

    def _play(self, playback: Playback, now: float) -> None:
        self._loaded = playback
        plays = playback.enabled != 0 and self._continuous
        if plays or self.playing:
            self._add(replace(self._states[-1], since=now, playback=playback if plays else None))

    def _add(self, state: BiasState) -> None:
        with self._lock:
            self._states.append(state)
