"""Triggers raw and debug captures, and publishes their data.

A debug capture is a file, which is complete when the card's buffers are empty again. A raw capture is two registers.
pysmurf waits for the second event of each: it is sent when there is a client that has not seen the capture before.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, Final

from smurfq.sim import registers as r
from smurfq.sim.radio import debug, raw
from smurfq.sim.radio import registers as radio
from smurfq.sim.radio.card import Bench, Handler, Results, is_set
from smurfq.sim.wiring import BANDS_PER_BAY, NUM_BAYS

EVENT_AFTER_S: Final = 0.35  # delay, so that subscribers have seen the value before
_WATCHED_WITHIN_S: Final = 5.0
_LOOK_EVERY_S: Final = 0.05
_DEBUG_CHANNEL: Final = 22  # channel of the capture's multiplexer; the channels below it belong to ADCs and DACs
_FIRST_DAC_CHANNEL: Final = 12
_READOUT_MODE: Final = ("singleChannelReadout", "singleChannelReadoutOpt2", "readoutChannelSelect", "iqStreamEnable")


class Captures:
    """The captures of a card."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._watched: dict[str, int] = {}  # number of subscriptions to a register so far
        self._captured: dict[str, int] = {}  # this number at the register's last change

    def handlers(self) -> dict[str, Handler]:
        """Return the function that is called when a register is put."""
        return {
            radio.capture_register(bay, name): partial(self._trigger, bay)
            for bay in range(NUM_BAYS)
            for name in ("TriggerDaq", "ArmHwTrigger")
        }

    def watched(self, name: str) -> None:
        """Record that a client has subscribed to a register."""
        self._watched[name] = self._watched.get(name, 0) + 1

    def _trigger(self, bay: int, value: Any, _now: float) -> None:
        if is_set(value):
            channel = int(self._bench.number(radio.capture_register(bay, "InputMuxSel[0]")))
            self._bench.spawn(self._debug(bay) if channel >= _DEBUG_CHANNEL else self._raw(bay, channel))

    async def _debug(self, bay: int) -> None:
        bench = self._bench
        empty = [radio.buffer_register(bay, f"Empty[{number}]") for number in range(2)]
        band = bay * BANDS_PER_BAY + int(bench.number(radio.debug_select(bay)))
        n_samples = int(bench.number(radio.capture_register(bay, "DataBufferSize")))
        path = Path(str(bench.card.value(radio.DATA_FILE)))
        model, settings, turns = bench.now(band)
        mode = {name: int(bench.number(r.band_register(band, name))) for name in _READOUT_MODE}
        one = mode["singleChannelReadout"] or mode["singleChannelReadoutOpt2"]
        bench.card.update(dict.fromkeys(empty, 0))

        def work() -> Results:
            capture = debug.captured(
                model,
                settings,
                turns,
                n_samples,
                channel=mode["readoutChannelSelect"] if one else None,
                quadratures=bool(mode["iqStreamEnable"]),
            )
            debug.write(path, *debug.words(capture, n_samples))
            return {}

        try:
            await self._faultless()
            await bench.compute(work)
        finally:
            bench.card.update(dict.fromkeys(empty, 1))

    async def _raw(self, bay: int, channel: int) -> None:
        bench = self._bench
        is_dac = channel >= _FIRST_DAC_CHANNEL
        band = bay * BANDS_PER_BAY + (channel // 2 - (6 if is_dac else 1)) % BANDS_PER_BAY
        n_samples = int(bench.number(radio.capture_register(bay, "DataBufferSize")))
        noise = bool(bench.number(r.band_register(band, "noiseSelect")))
        model, settings, turns = bench.now(band)
        names = radio.capture_streams(bay)

        def work() -> Results:
            wave = raw.played(model, settings, n_samples, noise=noise)
            if not is_dac:
                wave = raw.heard(model, settings, turns, wave)
            return dict(zip(names, raw.counts(wave), strict=True))

        results = await bench.compute(work)
        await self._until_watched(names)
        await self._faultless()
        bench.card.update(results)
        self._captured.update({name: self._watched.get(name, 0) for name in names})

    async def _until_watched(self, names: Iterable[str]) -> None:
        """Wait until there is a new subscription to these registers, or until a timeout."""
        end = time.monotonic() + _WATCHED_WITHIN_S
        while any(self._watched.get(name, 0) == self._captured.get(name, 0) for name in names):
            if time.monotonic() > end:
                break
            await asyncio.sleep(_LOOK_EVERY_S)
        await asyncio.sleep(EVENT_AFTER_S)

    async def _faultless(self) -> None:
        while self._bench.card.faults.no_captures:
            await asyncio.sleep(_LOOK_EVERY_S)
