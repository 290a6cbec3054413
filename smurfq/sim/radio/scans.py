"""Starts sweeps, gradient descents and eta scans, and publishes their results in order.

pysmurf's SyncGroup ignores the first event of `etaScanInProgress`, and may subscribe only after the scan has ended. So
the end of a scan is sent after its results, and then repeated for a while.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import numpy as np

from smurfq.core.card import NUM_BANDS
from smurfq.sim import registers as r
from smurfq.sim.physics.resonator import Complex
from smurfq.sim.physics.tes import Floats
from smurfq.sim.radio import registers as radio
from smurfq.sim.radio.card import Bench, Handler, Results, Work, is_set
from smurfq.sim.radio.settings import SUB_BAND_MHZ
from smurfq.sim.registers import Value

BEAT_S: Final = 0.5
BEATS_FOR_S: Final = 60.0  # pysmurf subscribes 5 s after it has started a scan, or later on a busy machine
_LOOK_EVERY_S: Final = 0.05


class Scans:
    """The scans of a card."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._beats: dict[str, float] = {}  # registers whose events are repeated, with the time of the end
        self._beating = False

    def handlers(self) -> dict[str, Handler]:
        """Return the function that is called when a register is put."""
        found: dict[str, Handler] = {}
        for band in range(NUM_BANDS):
            for name, work in (
                (radio.FIND, self._find),
                (radio.DESCEND, self._descend),
                (radio.SEARCH, self._descend),
                (radio.ETA, self._eta),
            ):
                found[r.band_register(band, name)] = partial(self._start, band, work)
            found[r.band_register(band, radio.ONE_ETA)] = partial(self._one_eta, band)
        return found

    def _start(self, band: int, work: Callable[[int], Work], value: Any, _now: float) -> None:
        if is_set(value):
            self._bench.spawn(self._scan(band, work))

    async def _scan(self, band: int, work: Callable[[int], Work]) -> None:
        card = self._bench.card
        in_progress = r.band_register(band, radio.IN_PROGRESS)
        card.update({in_progress: 1})
        while card.faults.scans_stall:
            await asyncio.sleep(_LOOK_EVERY_S)
        try:
            # Use the current registers, since a client may have given up a stalled scan and changed them.
            card.update(await self._bench.compute(work(band)))
        finally:
            card.update({in_progress: 0})
            self._beats[in_progress] = time.monotonic() + BEATS_FOR_S
            if not self._beating:
                self._beating = True
                self._bench.spawn(self._beat())

    async def _beat(self) -> None:
        card = self._bench.card
        while self._beats:
            await asyncio.sleep(BEAT_S)
            now = time.monotonic()
            self._beats = {name: until for name, until in self._beats.items() if until > now}
            card.notify([name for name in self._beats if not card.value(name)])
        self._beating = False

    def _find(self, band: int) -> Work:
        offsets = np.asarray(self._bench.card.value(r.band_register(band, radio.SWEPT)))
        n_steps = offsets.size // r.CHANNELS_PER_BAND
        rows = offsets[: n_steps * r.CHANNELS_PER_BAND].reshape(r.CHANNELS_PER_BAND, n_steps)
        return self._sweep(band, rows, lambda swept: swept)

    def _one_eta(self, band: int, value: Any, _now: float) -> None:
        """Sweep one channel immediately, because pysmurf uses the first event as the result.

        Its quadratures are rotated by a quarter turn relative to sweeps of all channels.
        """
        if not is_set(value):
            return
        offsets = np.asarray(self._bench.card.value(r.band_register(band, radio.SWEPT)))
        channel = int(self._bench.number(r.band_register(band, radio.SWEEP_CHANNEL))) % r.CHANNELS_PER_BAND
        rows = np.zeros((r.CHANNELS_PER_BAND, offsets.size))
        rows[channel] = offsets
        self._bench.card.update(self._sweep(band, rows, lambda swept: 1j * swept[channel])())

    def _sweep(self, band: int, rows: Floats, chosen: Callable[[Complex], Complex]) -> Work:
        model, settings, turns = self._bench.now(band)
        power = self._bench.number(r.band_register(band, radio.SWEEP_POWER))

        def work() -> Results:
            found = chosen(model.sweep(rows, power, settings, turns)).ravel()
            return {
                r.band_register(band, radio.REAL): _words(found.real),
                r.band_register(band, radio.IMAGINARY): _words(found.imag),
            }

        return work

    def _descend(self, band: int) -> Work:
        model, settings, turns = self._bench.now(band)
        name = r.band_register(band, "CryoChannels:centerFrequencyArray")
        return lambda: {name: model.descended(settings, turns)}

    def _eta(self, band: int) -> Work:
        model, settings, turns = self._bench.now(band)
        return lambda: eta_registers(band, model.eta(settings, turns))


def eta_registers(band: int, eta: Complex) -> dict[str, Value]:
    """Return the registers for eta (MHz) of a band's channels."""
    return {
        r.band_register(band, "CryoChannels:etaPhaseArray"): np.degrees(np.angle(eta)),
        r.band_register(band, "CryoChannels:etaMagArray"): np.abs(eta) / SUB_BAND_MHZ,
    }


def _words(values: Floats) -> Floats:
    """Convert fractions of full scale to 24 bits in two's complement, which the card shows as positive numbers."""
    words: Floats = np.mod(np.rint(values * 2**23), 2**24)
    return words
