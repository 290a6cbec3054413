"""Computes the counts of the DACs that bias detectors, to set them to zero or to restore them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

COUNT_V: Final = 20 / 2**20  # a DAC's step
TOLERANCE_V: Final = 2e-4
Pairs = Mapping[int, tuple[int, int]]  # the two DACs (1-32) of each bias group


def voltages(dacs: Sequence[int], pairs: Pairs) -> dict[int, float]:
    """Return the voltage of each bias group."""
    return {group: (dacs[plus - 1] - dacs[minus - 1]) * COUNT_V for group, (plus, minus) in pairs.items()}


def zeroed(dacs: Iterable[Any], pairs: Pairs) -> list[int]:
    """Return the counts of all DACs, with those of ``pairs`` at zero."""
    counts = [int(count) for count in dacs]
    for dac in {dac for pair in pairs.values() for dac in pair}:
        counts[dac - 1] = 0
    return counts


def raised(dacs: Sequence[int], start: Sequence[int], pairs: Pairs) -> list[int]:
    """Return the bias groups whose voltage has increased in magnitude or changed its sign since the start."""
    now, then = voltages(dacs, pairs), voltages(start, pairs)
    return [group for group in pairs if not _is_between(now[group], then[group])]


def put_back(
    dacs: Sequence[int], start: Sequence[int] | None, pairs: Pairs, rescaled: Collection[int] = ()
) -> list[int]:
    """Return the counts of all DACs, with the raised bias groups as at the start. If ``start`` is None, none changes.

    ``rescaled`` are the bias groups that go back to the current mode of the start. Unless they are zero, they get their
    voltage at the start.
    """
    counts = list(dacs)
    if start is None:
        return counts
    of_rescaled = {group: pair for group, pair in pairs.items() if group in rescaled}
    for group in {*raised(dacs, start, pairs), *raised(dacs, [0] * len(counts), of_rescaled)}:
        for dac in pairs[group]:
            counts[dac - 1] = start[dac - 1]
    return counts


def _is_between(now_v: float, then_v: float) -> bool:
    """Return whether a voltage lies between zero and the voltage at the start."""
    return min(0.0, then_v) - TOLERANCE_V <= now_v <= max(0.0, then_v) + TOLERANCE_V
