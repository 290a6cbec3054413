"""Computes the values of the slow DACs over time from the values put and the tables that are played."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from smurfq.core.card_wiring import Wiring, usual_wiring
from smurfq.sim.registers import NUM_DACS, TABLE_SIZE

Bits = npt.NDArray[np.int64]
Seconds = npt.NDArray[np.float64]

TICK_S: Final = 6.4e-9
BIT_V: Final = 20.0 / 2**20


@dataclass(frozen=True)
class Playback:
    """Two tables that are played repeatedly, each on a DAC (1 to 32; 0: none), starting at ``started_at``."""

    enabled: int
    dacs: tuple[int, int]
    tables: tuple[Bits, Bits]
    timer_size: int
    started_at: float

    @property
    def period_s(self) -> float:
        """Return the duration of a table, in seconds."""
        return TABLE_SIZE * max(1, self.timer_size) * TICK_S

    def on(self, values: Bits, times: Seconds) -> Bits:
        """Return ``values`` (32, n) with the values that are played at ``times`` (n) inserted."""
        entry = ((times - self.started_at) / (max(1, self.timer_size) * TICK_S)).astype(np.int64) % TABLE_SIZE
        played = values.copy()
        for table, dac in enumerate(self.dacs):
            if self.enabled >> table & 1 and dac:
                played[dac - 1] = self.tables[table][entry]
        return played


@dataclass(frozen=True)
class BiasState:
    """The state of DACs, relays and tables from a given time on, which determines the biases."""

    since: float
    dacs: Bits
    relays: int
    playback: Playback | None

    def dacs_at(self, times: Seconds) -> Bits:
        """Return the values of the 32 DACs at ``times`` (n), shape (32, n)."""
        held = np.repeat(self.dacs[:, None], times.size, axis=1)
        return held if self.playback is None else self.playback.on(held, times)


@dataclass(frozen=True)
class Biases:
    """The bias groups over time: bits as in a stream's header, (n_groups, n), and the relay word, (n)."""

    bits: Bits
    relays: Bits
    relay_of_group: Bits

    @property
    def volts(self) -> npt.NDArray[np.float64]:
        """Return the bias voltages, (n_groups, n), by pysmurf's convention: between the two DACs of a group."""
        return self.bits.astype(np.float64) * (2 * BIT_V)

    @property
    def high_current(self) -> npt.NDArray[np.bool_]:
        """Return whether each group is in high-current mode, (n_groups, n)."""
        return (self.relays[None, :] >> self.relay_of_group[:, None] & 1).astype(bool)


def biases_at(states: Sequence[BiasState], times: Seconds, wiring: Wiring | None = None) -> Biases:
    """Return the biases at ``times`` (n, rising) from ``states`` in order of time. The first also applies before it.

    ``wiring`` is by default the usual one.
    """
    wiring = wiring or usual_wiring("")
    pairs = np.array([wiring.pairs[group] for group in sorted(wiring.pairs)], np.int64) - 1
    starts = np.array([state.since for state in states])
    index = np.clip(np.searchsorted(starts, times, side="right") - 1, 0, None)
    bits = np.empty((len(pairs), times.size), np.int64)
    relays = np.empty(times.size, np.int64)
    for number in np.unique(index):
        where = slice(*np.searchsorted(index, [number, number + 1]))
        dacs = states[number].dacs_at(times[where])
        bits[:, where] = (dacs[pairs[:, 0]] - dacs[pairs[:, 1]]) // 2
        relays[where] = states[number].relays
    return Biases(bits, relays, np.array([wiring.relays[group] for group in sorted(wiring.pairs)], np.int64))


def no_bias(since: float) -> BiasState:
    """Return the state at power-up."""
    return BiasState(since, np.zeros(NUM_DACS, np.int64), 0, None)
