"""The DACs that bias detectors: which they are, their voltages, and their counts at zero or put back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from smurfq.core.card import NUM_BIAS_GROUPS
from smurfq.core.slot import SlotId

COUNT_V: Final = 20 / 2**20  # a DAC's step
TOLERANCE_V: Final = 2e-4
Pairs = Sequence[tuple[int, int]]


def bias_pairs(slot: str) -> list[tuple[int, int]]:
    """The two DACs (1-32) of each bias group, by the slot's pysmurf configuration.

    The others hold the amplifiers' gates and drains and must keep their values. Where the configuration
    cannot be read, it is SMuRF's usual order: bias group g has DACs 2g+1 and 2g+2.
    """
    try:
        return _configured_pairs(slot)
    except Exception:  # noqa: BLE001 - any fault of a configuration file; the card is to be made safe all the same
        return [(2 * group + 1, 2 * group + 2) for group in range(NUM_BIAS_GROUPS)]


def voltages(dacs: Sequence[int], pairs: Pairs) -> list[float]:
    """The voltage of each bias group."""
    return [(dacs[plus - 1] - dacs[minus - 1]) * COUNT_V for plus, minus in pairs]


def zeroed(dacs: Iterable[Any], pairs: Pairs) -> list[int]:
    """The counts of all DACs with those of ``pairs`` at zero."""
    counts = [int(count) for count in dacs]
    for dac in {dac for pair in pairs for dac in pair}:
        counts[dac - 1] = 0
    return counts


def raised(dacs: Sequence[int], start: Sequence[int], pairs: Pairs) -> list[int]:
    """The bias groups that have more voltage than at the start, or the other sign; one that was lowered is not."""
    now_and_then = zip(voltages(dacs, pairs), voltages(start, pairs), strict=True)
    return [group for group, (now, then) in enumerate(now_and_then) if not _is_between(now, then)]


def put_back(dacs: Sequence[int], start: Sequence[int] | None, pairs: Pairs, *, rescaled: bool = False) -> list[int]:
    """The counts of all DACs with the raised bias groups as at the start; as they are where that is not known.

    ``rescaled`` is for biases of another current mode than at the start: all that are not zero go back.
    """
    counts = list(dacs)
    if start is None:
        return counts
    for group in raised(dacs, [0] * len(counts) if rescaled else start, pairs):
        for dac in pairs[group]:
            counts[dac - 1] = start[dac - 1]
    return counts


def _is_between(now_v: float, then_v: float) -> bool:
    """Whether a voltage lies between zero and the one at the start."""
    return min(0.0, then_v) - TOLERANCE_V <= now_v <= max(0.0, then_v) + TOLERANCE_V


def _configured_pairs(slot: str) -> list[tuple[int, int]]:
    from pysmurf.client.base.smurf_config import SmurfConfig
    from sodetlib.det_config import DetConfig

    config = DetConfig()
    config.load_config_files(slot=SlotId.parse(slot).slot)
    groups: dict[str, Sequence[int]] = SmurfConfig.read_json(config.pysmurf_file)["bias_group_to_pair"]
    return [(int(plus), int(minus)) for _, (plus, minus) in sorted(groups.items(), key=lambda item: int(item[0]))]
