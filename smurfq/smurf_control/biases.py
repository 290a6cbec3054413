"""Computes the counts of the DACs that bias detectors, to set them to zero or to restore them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from smurfq.core.card import NUM_BIAS_GROUPS
from smurfq.core.slot import SlotId

COUNT_V: Final = 20 / 2**20  # a DAC's step
TOLERANCE_V: Final = 2e-4
Pairs = Sequence[tuple[int, int]]


def bias_pairs(slot: str) -> list[tuple[int, int]]:
    """Return the two DACs (1-32) of each bias group, from the slot's pysmurf configuration.

    The other DACs hold the amplifiers' gates and drains, and must keep their values. If the configuration cannot be
    read, SMuRF's usual order is used: bias group g has DACs 2g+1 and 2g+2.
    """
    try:
        return _configured_pairs(slot)
    except Exception:  # noqa: BLE001 - any error in a configuration file; the card must still be made safe
        return [(2 * group + 1, 2 * group + 2) for group in range(NUM_BIAS_GROUPS)]


def voltages(dacs: Sequence[int], pairs: Pairs) -> list[float]:
    """Return the voltage of each bias group."""
    return [(dacs[plus - 1] - dacs[minus - 1]) * COUNT_V for plus, minus in pairs]


def zeroed(dacs: Iterable[Any], pairs: Pairs) -> list[int]:
    """Return the counts of all DACs, with those of ``pairs`` at zero."""
    counts = [int(count) for count in dacs]
    for dac in {dac for pair in pairs for dac in pair}:
        counts[dac - 1] = 0
    return counts


def raised(dacs: Sequence[int], start: Sequence[int], pairs: Pairs) -> list[int]:
    """Return the bias groups whose voltage has increased in magnitude or changed its sign since the start."""
    now_and_then = zip(voltages(dacs, pairs), voltages(start, pairs), strict=True)
    return [group for group, (now, then) in enumerate(now_and_then) if not _is_between(now, then)]


def put_back(dacs: Sequence[int], start: Sequence[int] | None, pairs: Pairs, *, rescaled: bool = False) -> list[int]:
    """Return the counts of all DACs, with the raised bias groups as at the start. If ``start`` is None, none changes.

    ``rescaled`` is true if the current mode has changed since the start: all biases that are not zero are restored.
    """
    counts = list(dacs)
    if start is None:
        return counts
    for group in raised(dacs, [0] * len(counts) if rescaled else start, pairs):
        for dac in pairs[group]:
            counts[dac - 1] = start[dac - 1]
    return counts


def _is_between(now_v: float, then_v: float) -> bool:
    """Return whether a voltage lies between zero and the voltage at the start."""
    return min(0.0, then_v) - TOLERANCE_V <= now_v <= max(0.0, then_v) + TOLERANCE_V


def _configured_pairs(slot: str) -> list[tuple[int, int]]:
    from pysmurf.client.base.smurf_config import SmurfConfig
    from sodetlib.det_config import DetConfig

    config = DetConfig()
    config.load_config_files(slot=SlotId.parse(slot).slot)
    groups: dict[str, Sequence[int]] = SmurfConfig.read_json(config.pysmurf_file)["bias_group_to_pair"]
    return [(int(plus), int(minus)) for _, (plus, minus) in sorted(groups.items(), key=lambda item: int(item[0]))]
