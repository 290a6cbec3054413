"""The radio side of a simulated card: what its registers start, and what its channels therefore show.

Sweeps and captures are computed in a thread of their own, one at a time, so that the server goes on answering. Their
results come as events, by the rules that pysmurf's SyncGroup needs: it throws away the first event that it sees, and
may begin to look only after all is done.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from smurfq.sim import registers as r
from smurfq.sim.faults import Faults
from smurfq.sim.physics.resonator import Complex
from smurfq.sim.physics.tes import Floats
from smurfq.sim.radio import debug, raw
from smurfq.sim.radio import registers as radio
from smurfq.sim.radio.band import BandModel
from smurfq.sim.radio.readout import Readout, band_readout, dark, joined
from smurfq.sim.radio.settings import SUB_BAND_MHZ, BandSettings, settings_of
from smurfq.sim.registers import Value

logger = logging.getLogger(__name__)

Handler = Callable[[Any, float], None]
Results = Mapping[str, Value]
Work = Callable[[], Results]

_BEAT_S: Final = 0.5
_BEATS_FOR_S: Final = 60.0  # after a scan; pysmurf looks 5 s after it has started one, or later on a busy machine
_WATCHED_WITHIN_S: Final = 5.0
_EVENT_AFTER_S: Final = 0.35  # so that who watches has seen the value before
_LOOK_EVERY_S: Final = 0.05
_DEBUG_CHANNEL: Final = 22  # of the multiplexer before the capture
_FIRST_DAC_CHANNEL: Final = 12


class Card(Protocol):
    """What the radio side needs of its slot."""

    id: str
    faults: Faults

    def value(self, name: str) -> Value:
        """What a register holds."""
        ...

    def change(self, changes: Results) -> None:
        """Change registers and tell those who watch."""
        ...

    def show(self, names: Iterable[str]) -> None:
        """Tell those who watch registers what they hold, changed or not."""
        ...

    def amplifier_loss_db(self, band: int) -> float:
        """What the amplifiers of a band lack of their gain."""
        ...

    def turns(self) -> Floats:
        """The detectors' currents in units of phi_0, with their signs."""
        ...


@dataclass(frozen=True)
class _BandReadout:
    """What a band's channels show, and what says so: registers, and what is no register."""

    asked: dict[str, Any]
    others: tuple[Any, ...]
    readout: Readout

    def holds(self, read: Callable[[str], Value], others: tuple[Any, ...]) -> bool:
        """Whether nothing of what says so has changed."""
        return others == self.others and all(_same(read(name), value) for name, value in self.asked.items())


class RadioSide:
    """What the radio registers of one slot do."""

    def __init__(self, card: Card, models: Sequence[BandModel], executor: Executor | None = None) -> None:
        self._card = card
        self._models = tuple(models)
        self._executor = executor
        self._tasks: set[asyncio.Task[None]] = set()
        self._beats: dict[str, float] = {}  # registers that are shown again and again, and until when
        self._beating = False
        self._watched: dict[str, int] = {}  # how often a register has begun to be watched
        self._captured: dict[str, int] = {}  # the same, when it last changed
        self._bands: dict[int, _BandReadout] = {}
        self._readout: tuple[list[Readout], Readout] | None = None
        self._lock = threading.Lock()  # the stream's thread asks for the readout, and so does who opens it

    def handlers(self) -> dict[str, Handler]:
        """What is done when a register is put."""
        found: dict[str, Handler] = {radio.SET_DEFAULTS: lambda *_: self._card.change({radio.CONFIGURED: "True"})}
        for band in range(r.NUM_BANDS):
            for name, work in (
                (radio.FIND, self._find),
                (radio.DESCEND, self._descend),
                (radio.SEARCH, self._descend),
                (radio.ETA, self._eta),
            ):
                found[r.band_register(band, name)] = self._starter(band, work)
            found[r.band_register(band, radio.ONE_ETA)] = partial(self._one_eta, band)
        for bay in range(radio.NUM_BAYS):
            for name in ("TriggerDaq", "ArmHwTrigger"):
                found[radio.capture_register(bay, name)] = self._trigger(bay)
        return found

    def watched(self, name: str) -> None:
        """Note that somebody has begun to watch a register."""
        self._watched[name] = self._watched.get(name, 0) + 1

    def readout(self) -> Readout:
        """What the slot's channels show by the registers.

        The same object until a register of them has changed, and computed anew only for the bands that have changed.
        """
        with self._lock:
            bands = [self._band_readout(band) for band in range(r.NUM_BANDS)] if self._models else [_DARK]
            known = self._readout
            if known is None or any(new is not old for new, old in zip(bands, known[0], strict=True)):
                self._readout = known = (bands, joined(bands))
            return known[1]

    def settings(self, band: int) -> BandSettings:
        """How a band is set."""
        return settings_of(band, self._card.value, self._card.amplifier_loss_db(band))

    def _model(self, band: int) -> BandModel:
        model = self._models[band]
        if band in self._card.faults.no_resonators:
            return BandModel(band, model.resonators.take(np.zeros(0, np.int64)))
        return model

    def _band_readout(self, band: int) -> Readout:
        known = self._bands.get(band)
        others = (self._card.amplifier_loss_db(band), band in self._card.faults.no_resonators)
        if known is not None and known.holds(self._card.value, others):
            return known.readout
        asked: dict[str, Any] = {}

        def read(name: str) -> Any:
            asked[name] = self._card.value(name)
            return asked[name]

        settings = settings_of(band, read, others[0])
        readout = band_readout(self._model(band), settings, self._card.turns())
        self._bands[band] = _BandReadout(asked, others, readout)
        return readout

    # Scans

    def _starter(self, band: int, work: Callable[[int], Work]) -> Handler:
        def start(value: Any, _now: float) -> None:
            if int(np.ravel(value)[0]):
                self._spawn(self._scan(band, work(band)))

        return start

    async def _scan(self, band: int, work: Work) -> None:
        in_progress = r.band_register(band, radio.IN_PROGRESS)
        self._card.change({in_progress: 1})
        while self._card.faults.scans_stall:
            await asyncio.sleep(_LOOK_EVERY_S)
        try:
            self._card.change(await self._compute(work))
        finally:
            self._card.change({in_progress: 0})
            self._beats[in_progress] = time.monotonic() + _BEATS_FOR_S
            if not self._beating:
                self._beating = True
                self._spawn(self._beat())

    async def _beat(self) -> None:
        """Show registers that have not changed again, for who has not begun to watch them in time."""
        while self._beats:
            await asyncio.sleep(_BEAT_S)
            now = time.monotonic()
            self._beats = {name: until for name, until in self._beats.items() if until > now}
            self._card.show([name for name in self._beats if not self._card.value(name)])
        self._beating = False

    def _find(self, band: int) -> Work:
        offsets = np.asarray(self._card.value(r.band_register(band, radio.SWEPT)))
        n_steps = offsets.size // r.CHANNELS_PER_BAND
        rows = offsets[: n_steps * r.CHANNELS_PER_BAND].reshape(r.CHANNELS_PER_BAND, n_steps)
        return self._sweep(band, rows, lambda swept: swept)

    def _one_eta(self, band: int, value: Any, _now: float) -> None:
        """Sweep one channel, at once: pysmurf takes the first event that it sees for the result.

        Its quadratures are turned by a quarter against those of all channels' sweeps.
        """
        if not int(np.ravel(value)[0]):
            return
        offsets = np.asarray(self._card.value(r.band_register(band, radio.SWEPT)))
        channel = int(self._number(r.band_register(band, radio.SWEEP_CHANNEL))) % r.CHANNELS_PER_BAND
        rows = np.zeros((r.CHANNELS_PER_BAND, offsets.size))
        rows[channel] = offsets
        self._card.change(self._sweep(band, rows, lambda swept: 1j * swept[channel])())

    def _sweep(self, band: int, rows: Floats, chosen: Callable[[Complex], Complex]) -> Work:
        model, settings, turns = self._model(band), self.settings(band), self._card.turns()
        power = self._number(r.band_register(band, radio.SWEEP_POWER))

        def work() -> Results:
            found = chosen(model.sweep(rows, power, settings, turns)).ravel()
            return {
                r.band_register(band, radio.REAL): _words(found.real),
                r.band_register(band, radio.IMAGINARY): _words(found.imag),
            }

        return work

    def _descend(self, band: int) -> Work:
        model, settings, turns = self._model(band), self.settings(band), self._card.turns()
        name = r.band_register(band, "CryoChannels:centerFrequencyArray")
        return lambda: {name: model.descended(settings, turns)}

    def _eta(self, band: int) -> Work:
        model, settings, turns = self._model(band), self.settings(band), self._card.turns()

        def work() -> Results:
            return eta_registers(band, model.eta(settings, turns))

        return work

    # Captures

    def _trigger(self, bay: int) -> Handler:
        def trigger(value: Any, _now: float) -> None:
            if int(np.ravel(value)[0]):
                channel = int(self._number(radio.capture_register(bay, "InputMuxSel[0]")))
                self._spawn(self._debug(bay) if channel >= _DEBUG_CHANNEL else self._raw(bay, channel))

        return trigger

    async def _debug(self, bay: int) -> None:
        empty = [radio.buffer_register(bay, f"Empty[{number}]") for number in range(2)]
        band = bay * radio.BANDS_PER_BAY + int(self._number(radio.debug_select(bay)))
        n_samples = int(self._number(radio.capture_register(bay, "DataBufferSize")))
        path = Path(str(self._card.value(radio.DATA_FILE)))
        model, settings, turns = self._model(band), self.settings(band), self._card.turns()
        read = {name: int(self._number(r.band_register(band, name))) for name in _READOUT_MODE}
        one = read["singleChannelReadout"] or read["singleChannelReadoutOpt2"]
        self._card.change(dict.fromkeys(empty, 0))

        def work() -> Results:
            capture = debug.captured(
                model,
                settings,
                turns,
                n_samples,
                channel=read["readoutChannelSelect"] if one else None,
                quadratures=bool(read["iqStreamEnable"]),
            )
            debug.write(path, *debug.words(capture, n_samples))
            return {}

        try:
            while self._card.faults.no_captures:
                await asyncio.sleep(_LOOK_EVERY_S)
            await self._compute(work)
        finally:
            self._card.change(dict.fromkeys(empty, 1))

    async def _raw(self, bay: int, channel: int) -> None:
        is_dac = channel >= _FIRST_DAC_CHANNEL
        band = bay * radio.BANDS_PER_BAY + (channel // 2 - (6 if is_dac else 1)) % radio.BANDS_PER_BAY
        n_samples = int(self._number(radio.capture_register(bay, "DataBufferSize")))
        noise = bool(self._number(r.band_register(band, "noiseSelect")))
        model, settings, turns = self._model(band), self.settings(band), self._card.turns()
        names = radio.capture_streams(bay)

        def work() -> Results:
            wave = raw.played(model, settings, n_samples, noise=noise)
            if not is_dac:
                wave = raw.heard(model, settings, turns, wave)
            return dict(zip(names, raw.counts(wave), strict=True))

        results = await self._compute(work)
        await self._until_watched(names)
        while self._card.faults.no_captures:
            await asyncio.sleep(_LOOK_EVERY_S)
        self._card.change(results)
        self._captured.update({name: self._watched.get(name, 0) for name in names})

    async def _until_watched(self, names: Iterable[str]) -> None:
        """Return once somebody watches these who has not seen the capture before, or nobody seems to come."""
        end = time.monotonic() + _WATCHED_WITHIN_S
        while any(self._watched.get(name, 0) == self._captured.get(name, 0) for name in names):
            if time.monotonic() > end:
                break
            await asyncio.sleep(_LOOK_EVERY_S)
        await asyncio.sleep(_EVENT_AFTER_S)

    async def _compute(self, work: Work) -> Results:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("%s: the radio side failed", self._card.id, exc_info=task.exception())

    def _number(self, name: str) -> float:
        value = self._card.value(name)
        assert isinstance(value, int | float)
        return value


def _same(now: Any, before: Any) -> bool:
    """Whether a register holds what it held; an array that was put is another one, whatever it holds."""
    return now is before if isinstance(now, np.ndarray) else bool(now == before)


_DARK: Final = dark()
_READOUT_MODE: Final = ("singleChannelReadout", "singleChannelReadoutOpt2", "readoutChannelSelect", "iqStreamEnable")


def eta_registers(band: int, eta: Complex) -> dict[str, Value]:
    """The registers that hold eta (MHz) of a band's channels."""
    return {
        r.band_register(band, "CryoChannels:etaPhaseArray"): np.degrees(np.angle(eta)),
        r.band_register(band, "CryoChannels:etaMagArray"): np.abs(eta) / SUB_BAND_MHZ,
    }


def _words(values: Floats) -> Floats:
    """Fractions of full scale as 24 bits in two's complement, which the card shows as positive numbers."""
    words: Floats = np.mod(np.rint(values * 2**23), 2**24)
    return words
