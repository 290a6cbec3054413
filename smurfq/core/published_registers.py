"""The registers that a smurf server publishes (``metadata``), their names for people, and the limits that a site sets.

A register's path has dots: ``AMCc.FpgaTopLevel.AmcCarrierCore.EM22xx.IOUT``. Its last two parts identify it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from smurfq.core.jsonsafe import dumps, loads

COUNTED_OVER_S: Final = 600.0
_SAMPLED_S: Final = 10.0


class Quantity(NamedTuple):
    """A quantity that is watched: the end of its register's path, and whether it counts errors."""

    name: str
    path_end: str
    counts: bool = False


QUANTITIES: Final = (
    Quantity("fpga_temperature_c", "AxiSysMonUltraScale.Temperature"),
    Quantity("carrier_current_a", "EM22xx.IOUT"),
    Quantity("link_crc_errors", "TimingFrameRx.CrcErrCount", counts=True),
    Quantity("link_decode_errors", "TimingFrameRx.RxDecErrCount", counts=True),
    Quantity("link_disparity_errors", "TimingFrameRx.RxDspErrCount", counts=True),
    Quantity("lost_frames", "FrameRxStats.FrameLossCnt", counts=True),
    Quantity("frames_out_of_order", "FrameRxStats.FrameOutOrderCnt", counts=True),
    Quantity("bad_frames", "FrameRxStats.BadFrameCnt", counts=True),
    Quantity("channels", "ChannelMapper.NumChannels"),
)
"""The quantities that Prometheus gets. ``channels`` is only there if the server publishes that register."""

_BY_NAME: Final = {one.name: one for one in QUANTITIES}
_BY_PATH_END: Final = {one.path_end: one for one in QUANTITIES}


class RegisterValue(NamedTuple):
    """The newest value of a register, its type in the server, and when it was published (s since 1970)."""

    value: Any
    type: str
    time: float

    def to_text(self) -> str:
        """Return the text that Redis stores."""
        return dumps([self.value, self.type, self.time])

    @classmethod
    def parse(cls, text: str) -> RegisterValue:
        """Return the value that Redis stores as ``text``."""
        return cls(*loads(text))


class Alarm(NamedTuple):
    """A quantity beyond a limit of the site: its value (of a count, its increase), the limit, and since when."""

    quantity: str
    value: float
    limit: float
    above: bool
    since: float

    def to_dict(self) -> dict[str, Any]:
        """Return the alarm as a JSON object."""
        return dict(zip(self.__annotations__, self, strict=True))

    def __str__(self) -> str:
        what = "increased by" if self.is_count else "is"
        over = f" in {COUNTED_OVER_S:g} s" if self.is_count else ""
        return f"{self.quantity} {what} {self.value:g}{over}, {'above' if self.above else 'below'} {self.limit:g}"

    @property
    def is_count(self) -> bool:
        """True if the quantity counts errors."""
        return quantity(self.quantity).counts


def quantity(name: str) -> Quantity:
    """Return the quantity of this name. Any other register is a quantity named by the end of its path."""
    return _BY_NAME.get(name) or _BY_PATH_END.get(name) or Quantity(name, name)


def is_quantity(name: str) -> bool:
    """Return whether ``name`` is a quantity or the last two parts of a register's path."""
    return name in _BY_NAME or (name.count(".") == 1 and all(name.split(".")))


def path_end(path: str) -> str:
    """Return the last two parts of a register's path."""
    return ".".join(path.rsplit(".", 2)[-2:])


class Watch:
    """Compares the quantities of one slot with the limits of the site.

    The limits of a count are those of its increase within ``COUNTED_OVER_S``.
    """

    def __init__(self, largest: Mapping[str, float], smallest: Mapping[str, float]) -> None:
        limits = [(name, limit, True) for name, limit in largest.items()]
        limits += [(name, limit, False) for name, limit in smallest.items()]
        self._limits = [(quantity(name), limit, above) for name, limit, above in limits]
        self._counts: dict[str, deque[tuple[float, float]]] = {}
        self._alarms: dict[tuple[str, bool], Alarm] = {}

    def compare(self, values: Mapping[str, float], now: float, elapsed_s: float) -> list[Alarm]:
        """Return the present alarms.

        Parameters
        ----------
        values
            The newest values by the ends of their paths.
        now
            The time of day, in s since 1970, for people.
        elapsed_s
            The time of a clock that nobody sets, by which counts are compared.
        """
        for one, limit, above in self._limits:
            value = values.get(one.path_end)
            if value is None:
                continue
            if one.counts:
                value = self._increase(one.name, value, elapsed_s)
            key = (one.name, above)
            if value > limit if above else value < limit:
                since = self._alarms[key].since if key in self._alarms else now
                self._alarms[key] = Alarm(one.name, value, limit, above, since)
            else:
                self._alarms.pop(key, None)
        return list(self._alarms.values())

    def _increase(self, name: str, value: float, elapsed_s: float) -> float:
        known = self._counts.setdefault(name, deque())
        if known and value < known[-1][1]:
            known.clear()  # the server or the counter was restarted
        while len(known) > 1 and known[1][0] <= elapsed_s - COUNTED_OVER_S:
            known.popleft()
        increase = value - known[0][1] if known else 0.0
        if not known or elapsed_s - known[-1][0] >= _SAMPLED_S:
            known.append((elapsed_s, value))
        return increase


def number_of(value: Any) -> float | None:
    """Return a register's value as a number; None if it is none, or an integer too large for a float."""
    if not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
