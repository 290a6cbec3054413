"""Models one simulated slot: its registers, and the effects of puts.

It uses no sockets, and only the clock that it is given. One thread puts values. The stream, which has its own thread,
changes the registers of its session through `SimSlot.update_session`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from typing import Any, Final, Protocol

import numpy as np

from smurfq.core.card import NUM_BANDS
from smurfq.core.slot import SlotId
from smurfq.errors import StreamError
from smurfq.sim import registers as r
from smurfq.sim.cryocard import HEMT_GATE_DAC, Cryocard
from smurfq.sim.dac_registers import DacRegisters
from smurfq.sim.dacs import SlowDacs
from smurfq.sim.faults import Faults
from smurfq.sim.physics.tes import Floats
from smurfq.sim.radio import registers as radio
from smurfq.sim.radio.band import BandModel
from smurfq.sim.radio.side import RadioSide
from smurfq.sim.registers import Register, Value
from smurfq.sim.sensors import Sensors
from smurfq.sim.start import set_up
from smurfq.sim.tones import Tones
from smurfq.sim.wiring import BANDS_PER_BAY, NUM_BAYS, Shape

logger = logging.getLogger(__name__)

LINK_BACK_S: Final = 1.0  # time from AMCc:RestartRssi until the card answers again

Handler = Callable[[Any, float], None]
OnChange = Callable[[Iterable[str]], None]


class Stream(Protocol):
    """The interface of a stream for its slot's registers."""

    def open(self, now: float) -> None:
        """Begin a session. It has an id when this returns."""
        ...

    def close(self) -> None:
        """End the session soon."""
        ...

    def enable(self, enabled: bool, now: float) -> None:
        """Start or stop the samples."""
        ...

    def reset_unwrapper(self) -> None:
        """Unwrap every channel's phase so that it is within half a turn of zero."""
        ...

    def reset_filter(self) -> None:
        """Reset the filter."""
        ...

    def turns(self) -> Floats:
        """Return the detectors' currents in units of phi_0, with the signs of their phases."""
        ...


class SimSlot:
    """A simulated slot, as seen through Channel Access.

    Parameters
    ----------
    slot
        The slot's id.
    tones
        The tones that are on at the start, on a card that is set up for them; None: a card just after power-on.
    clock
        A function that returns the time, in seconds since 1970.
    on_change
        Called from any thread with the names of registers that changed without a put.
    bands
        The eight bands with their resonators; None: no resonators.
    executor
        The executor for sweeps and captures.
    shape
        The card's wiring and cryocard; by default the usual ones.

    Attributes
    ----------
    on_value
        Called from any thread with the names of registers that were written, changed or read.
    """

    def __init__(
        self,
        slot: str,
        tones: Tones | None,
        clock: Callable[[], float],
        on_change: OnChange,
        *,
        bands: Sequence[BandModel] = (),
        executor: Executor | None = None,
        shape: Shape | None = None,
    ) -> None:
        where = SlotId.parse(slot)
        self.id = slot
        self.shape = shape or Shape()
        self.prefix = f"smurf_server_s{where.slot}:"
        self.dacs = SlowDacs(clock())
        self.faults = Faults()
        self.stream: Stream | None = None
        self.on_value: OnChange = _nobody_watches
        self._clock = clock
        self._on_change: OnChange = _nobody_watches
        self._table = dict(r.register_table(where.crate, where.slot))
        self._table |= {register.name: register for register in radio.radio_registers()}
        self._values: dict[str, Value] = {name: register.first() for name, register in self._table.items()}
        self._readings = Sensors(self._values.__getitem__, lambda: self.faults, clock()).readings()
        self._elements: dict[str, tuple[str, int]] = {}  # registers that are views of an array's elements
        self._values["AMCc:SmurfApplication:EnabledBays"] = np.resize(self.shape.bays, NUM_BAYS).astype(np.int32)
        self._card = Cryocard(self._dac, powered=tones is not None, firmware=self.shape.firmware)
        self.radio = RadioSide(self, bands, executor)
        self._handlers = self._all_handlers()
        if tones is not None:
            for name, value in set_up(tones, bands, self._card.amplifiers):
                self.put_now(name, value)
        self._on_change = on_change

    @property
    def silent(self) -> bool:
        """Return whether the slot answers nothing, not even a search."""
        return self.faults.silent

    def answers(self, name: str) -> bool:
        """Return whether a register answers."""
        return self.shape.has_register(name) and self.faults.answers(name)

    def register(self, name: str) -> Register:
        """Return the register of this name. An unknown register stores any value."""
        element = radio.element_of(name) if name not in self._table else None
        if element is not None:
            array = self._table[element[0]]
            self._table[name] = replace(array, name=name, initial=0, size=1)
            self._elements[name] = element
        elif name not in self._table:
            logger.warning("%s: register %s is unknown; it only stores values", self.id, name)
            self._table[name] = r.unknown_register(name)
            self._values[name] = self._table[name].first()
        return self._table[name]

    def value(self, name: str) -> Value:
        """Return the value of a register."""
        if name in self._elements:
            array, place = self._elements[name]
            return self._array(array)[place].item()  # type: ignore[no-any-return]
        reading = self._readings.get(name)
        return self._values[name] if reading is None else reading(self._clock())

    def watched(self, name: str) -> None:
        """Record that a client has subscribed to a register."""
        self.radio.watched(name)

    def was_read(self, name: str) -> None:
        """Record that a client reads a register."""
        self.on_value((name,))

    def turns(self) -> Floats:
        """Return the detectors' currents in units of phi_0, with the signs of their phases; empty without detectors."""
        return np.zeros(0) if self.stream is None else self.stream.turns()

    def amplifier_loss_db(self, band: int) -> float:
        """Return the missing gain of a band's amplifiers."""
        self._card.stuck = self.faults.stuck_amplifiers
        return self._card.amplifier_loss_db(band // BANDS_PER_BAY)

    def values(self) -> Mapping[str, Value]:
        """Return the present values of all registers."""
        return dict(self._values)

    async def put(self, name: str, value: Any) -> None:
        """Put a value into a register, and return when all its effects are complete.

        Raises
        ------
        RegisterValueError
            The register cannot hold it.
        StreamError
            A stream could not be opened.
        """
        self.put_now(name, value)
        if name == r.OPEN_STREAM and self._values[name] and self.stream is not None:
            # In a separate thread, since the stream may be busy writing.
            await asyncio.get_running_loop().run_in_executor(None, self._open)

    def put_now(self, name: str, value: Any) -> None:
        """Put a value as ``put`` does, except for the opening of a stream."""
        held = self.register(name).value_of(value)
        if name in self._elements:
            array, place = self._elements[name]
            changed = self._array(array).copy()
            changed[place] = held
            self.update({array: changed})
            return
        self._values[name] = held
        handler = self._handlers.get(name)
        if handler is not None:
            handler(value, self._clock())
        self.on_value((name,))

    def update_session(self, **changed: Value) -> None:
        """Change registers of the stream's session, by their last names, and notify subscribers."""
        self.update({r.STREAM + f"SOFileWriter:{name}": value for name, value in changed.items()})

    def update(self, changes: Mapping[str, Value], *, notify: bool = True) -> None:
        """Change registers that were not put, and notify subscribers unless told not to."""
        self._values.update(changes)
        self.on_value(changes)
        if notify:
            self._on_change(list(changes))

    def notify(self, names: Iterable[str]) -> None:
        """Notify subscribers of the values of registers, changed or not."""
        self._on_change(list(names))

    def _open(self) -> None:
        assert self.stream is not None
        try:
            self.stream.open(self._clock())
        except StreamError:
            logger.exception("%s: the stream cannot be opened", self.id)
            self._values[r.OPEN_STREAM] = 0
            raise

    def _dac(self, number: int) -> int:
        if number == HEMT_GATE_DAC:
            return int(self._number(r.HEMT_GATE))
        return int(self.dacs.dacs[number - 1])

    def _number(self, name: str) -> float:
        value = self._values[name]
        assert isinstance(value, int | float)
        return value

    def _all_handlers(self) -> dict[str, Handler]:
        found: dict[str, Handler] = {
            r.CARD_WRITE: self._put_card,
            r.MASK: lambda value, _now: self.update({r.NUM_CHANNELS: int(np.size(value))}),
            r.INTERNAL_FACTOR: lambda _value, _now: self.update({r.FACTOR: self._values[r.INTERNAL_FACTOR]}),
            r.ENABLE_STREAMING: lambda value, now: self._to_stream(lambda stream: stream.enable(bool(value), now)),
            r.OPEN_STREAM: self._put_open,
            r.PROCESSOR + "Unwrapper:reset": lambda *_: self._to_stream(lambda stream: stream.reset_unwrapper()),
            r.PROCESSOR + "Filter:reset": lambda *_: self._to_stream(lambda stream: stream.reset_filter()),
            r.RESTART_LINK: self._restart_link,
            **DacRegisters(self, self.dacs).handlers(),
            **self.radio.handlers(),
        }
        for band in range(NUM_BANDS):
            found[r.band_register(band, "CryoChannels:setAmplitudeScales")] = partial(self._put_amplitudes, band)
        return found

    def _to_stream(self, tell: Callable[[Stream], None]) -> None:
        if self.stream is not None:
            tell(self.stream)

    def _put_open(self, value: Any, _now: float) -> None:
        if not int(value):
            self._to_stream(lambda stream: stream.close())

    def _put_card(self, word: Any, now: float) -> None:
        if self.faults.no_cryocard:
            self.update({r.CARD_READ: 0})
            return
        self._card.stuck = self.faults.stuck_amplifiers
        before = self._card.relays
        reply = self._card.command(int(word))
        if reply is not None:
            self.update({r.CARD_READ: reply})
        if self._card.relays != before:
            self.dacs.set_relays(self._card.relays, now)

    def _put_amplitudes(self, band: int, amplitude: Any, _now: float) -> None:
        name = r.band_register(band, "CryoChannels:amplitudeScaleArray")
        self.update({name: np.full(r.CHANNELS_PER_BAND, int(amplitude), np.int32)})

    def _restart_link(self, _value: Any, _now: float) -> None:
        if self.faults.locked_up:
            asyncio.get_running_loop().call_later(LINK_BACK_S, self._link_back)

    def _link_back(self) -> None:
        self.faults = self.faults.with_fault("locked_up", False)

    def _array(self, name: str) -> np.ndarray[Any, Any]:
        value = self._values[name]
        assert isinstance(value, np.ndarray)
        return value


def _nobody_watches(_names: Iterable[str]) -> None:
    pass
