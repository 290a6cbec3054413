"""Models the radio side of a simulated card: the effects of its registers, and the readings of its channels."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from smurfq.core.card import NUM_BANDS
from smurfq.sim.radio import registers as radio
from smurfq.sim.radio.band import BandModel
from smurfq.sim.radio.captures import Captures
from smurfq.sim.radio.card import Bench, Card, Handler
from smurfq.sim.radio.readout import Readout, band_readout, dark, joined
from smurfq.sim.radio.scans import Scans
from smurfq.sim.radio.settings import settings_of
from smurfq.sim.registers import Value

_DARK: Final = dark()


class RadioSide:
    """Implements the radio registers of one slot.

    Parameters
    ----------
    card
        The slot.
    models
        Its eight bands. Without them, it has no resonators, and no scan or capture may be started.
    executor
        The executor for sweeps and captures.
    """

    def __init__(self, card: Card, models: Sequence[BandModel], executor: Executor | None = None) -> None:
        self._card = card
        self._bench = Bench(card, models, executor)
        self._captures = Captures(self._bench)
        self._bands: dict[int, _BandReadout] = {}
        self._readout: tuple[list[Readout], Readout] | None = None
        self._lock = threading.Lock()  # the stream's thread and the thread that opens it both call readout

    def handlers(self) -> dict[str, Handler]:
        """Return the function that is called when a register is put."""
        return {
            radio.SET_DEFAULTS: lambda *_: self._card.update({radio.CONFIGURED: "True"}),
            **Scans(self._bench).handlers(),
            **self._captures.handlers(),
        }

    def watched(self, name: str) -> None:
        """Record that a client has subscribed to a register."""
        self._captures.watched(name)

    def readout(self) -> Readout:
        """Return the readout of the slot's channels for the current registers.

        The object stays the same until a register changes. Only bands with changes are computed again.
        """
        with self._lock:
            bands = [self._band_readout(band) for band in range(NUM_BANDS)] if self._bench.models else [_DARK]
            known = self._readout
            if known is None or any(new is not old for new, old in zip(bands, known[0], strict=True)):
                self._readout = known = (bands, joined(bands))
            return known[1]

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
        readout = band_readout(self._bench.model(band), settings, self._card.turns())
        self._bands[band] = _BandReadout(asked, others, readout)
        return readout


@dataclass(frozen=True)
class _BandReadout:
    """The readout of a band's channels, with the registers and other values on which it depends."""

    asked: dict[str, Any]
    others: tuple[Any, ...]
    readout: Readout

    def holds(self, read: Callable[[str], Value], others: tuple[Any, ...]) -> bool:
        """Return whether these values are unchanged."""
        return others == self.others and all(_same(read(name), value) for name, value in self.asked.items())


def _same(now: Any, before: Any) -> bool:
    """Return whether a register is unchanged; a put array always counts as changed."""
    return now is before if isinstance(now, np.ndarray) else bool(now == before)
