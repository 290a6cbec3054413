"""Keeps the registers of the slow DACs consistent: those of single DACs, and arrays of all DACs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Protocol

import numpy as np

from smurfq.sim import registers as r
from smurfq.sim.dacs import SlowDacs
from smurfq.sim.radio.card import Handler
from smurfq.sim.registers import Value

_ALL_DATA = r.DAC_DATA + "Array"
_ALL_CONTROLS = r.DAC_CONTROL + "Array"
_EACH = tuple(r.dac_register(number) for number in range(1, r.NUM_DACS + 1))


class Card(Protocol):
    """The interface of a slot for the registers of its DACs."""

    def value(self, name: str) -> Value:
        """Return the value of a register."""
        ...

    def update(self, changes: Mapping[str, Value], *, notify: bool = True) -> None:
        """Change registers, and notify subscribers unless told not to."""
        ...

    def notify(self, names: Iterable[str]) -> None:
        """Notify subscribers of the values of registers."""
        ...


class DacRegisters:
    """Handles puts to the registers of the slow DACs and of the tables that are played on them."""

    def __init__(self, card: Card, dacs: SlowDacs) -> None:
        self._card = card
        self._dacs = dacs

    def handlers(self) -> dict[str, Handler]:
        """Return the function that is called when a register is put."""
        found: dict[str, Handler] = {
            _ALL_DATA: self._put_all,
            _ALL_CONTROLS: self._put_controls,
            r.PLAYBACK + "TimerSize": lambda value, now: self._dacs.set_timer(int(value), now),
            r.PLAYBACK + "EnableCh": self._put_playback,
            r.PLAYBACK + "Continuous": lambda value, now: self._dacs.set_continuous(bool(value), now),
        }
        for number in range(1, r.NUM_DACS + 1):
            found[r.dac_register(number)] = partial(self._put_one, number)
            found[f"{r.DAC_CONTROL}[{number}]"] = partial(self._put_control, number)
        for table in range(2):
            found[f"{r.TABLES}Lut[{table}]:MemArray"] = partial(self._put_table, table)
            found[f"{r.PLAYBACK}DacAxilAddr[{table}]"] = partial(self._put_address, table)
        return found

    def _put_one(self, number: int, bits: Any, now: float) -> None:
        self._dacs.set_dac(number, int(bits), now)
        self._show(_ALL_DATA)

    def _put_all(self, _bits: Any, now: float) -> None:
        self._dacs.set_dacs(self._array(_ALL_DATA), now)
        self._show(*_EACH)

    def _put_playback(self, tables: Any, now: float) -> None:
        self._dacs.enable(int(tables), now)
        self._show(_ALL_DATA, *_EACH)

    def _show(self, *names: str) -> None:
        """Update the registers to the values of the DACs, and notify subscribers of those that were not put."""
        bits = self._dacs.dacs
        each = dict(zip(_EACH, bits.tolist(), strict=True))
        self._card.update({_ALL_DATA: bits.astype(np.int32), **each}, notify=False)
        self._card.notify(names)

    def _put_control(self, number: int, value: Any, _now: float) -> None:
        controls = self._array(_ALL_CONTROLS).copy()
        controls[number - 1] = int(value)
        self._card.update({_ALL_CONTROLS: controls})

    def _put_controls(self, _value: Any, _now: float) -> None:
        controls = self._array(_ALL_CONTROLS).tolist()
        self._card.update({f"{r.DAC_CONTROL}[{number}]": int(each) for number, each in enumerate(controls, start=1)})

    def _put_address(self, table: int, dac: Any, now: float) -> None:
        self._dacs.address(table, int(dac), now)

    def _put_table(self, table: int, _bits: Any, now: float) -> None:
        self._dacs.load_table(table, self._array(f"{r.TABLES}Lut[{table}]:MemArray"), now)

    def _array(self, name: str) -> np.ndarray[Any, Any]:
        value = self._card.value(name)
        assert isinstance(value, np.ndarray)
        return value
