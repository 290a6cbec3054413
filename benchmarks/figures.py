"""The rows of the table, and how a sample of times is told."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_HEAD = ("what", "smurfq", "baseline, same run", "socs on OCS, measured elsewhere")


@dataclass(frozen=True)
class Row:
    """One figure, with what it is to be compared with."""

    what: str
    smurfq: str
    baseline: str = ""
    peer: str = ""


@dataclass(frozen=True)
class Table:
    """Rows under a heading."""

    heading: str
    rows: Sequence[Row]
    remarks: Sequence[str] = ()

    def markdown(self) -> str:
        """The table as it stands in the documentation."""
        lines = [f"## {self.heading}", "", _line(_HEAD), _line("---" for _ in _HEAD)]
        lines += [_line((row.what, row.smurfq, row.baseline, row.peer)) for row in self.rows]
        lines += ["", *self.remarks] if self.remarks else []
        return "\n".join(lines) + "\n"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def times(samples_s: Sequence[float]) -> str:
    """A sample of times in words: median and range, and the 95th percentile of twenty and more."""
    unit, factor = ("s", 1.0) if statistics.median(samples_s) >= 1.0 else ("ms", 1000.0)
    values = sorted(factor * sample for sample in samples_s)
    text = f"p50 {_short(statistics.median(values))} {unit}"
    if len(values) >= 20:
        text += f", p95 {_short(statistics.quantiles(values, n=20)[-1])}"
    return f"{text} ({_short(values[0])} to {_short(values[-1])}; n={len(values)})"


def span(values: Sequence[float]) -> str:
    """Several whole numbers in words: the one value they all have, or the range."""
    low, high = min(values), max(values)
    return f"{low:,.0f}" if low == high else f"{low:,.0f} to {high:,.0f}"


def _short(value: float) -> str:
    """Three digits of a number."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
