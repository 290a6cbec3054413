"""The wiring of a card, from its pysmurf configuration: bias groups with their DACs and relays, bands, amplifiers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from smurfq.core.card import NUM_BANDS, NUM_BIAS_GROUPS

TWO_AMPLIFIERS: Final = (0, 1, 2, 3, 10)  # firmware of cryocards with two amplifiers (C02); 0: there is no cryocard
_NUM_DACS: Final = 32
_NUM_RELAYS: Final = 16  # of bias groups; the higher bits belong to the flux ramp
# The DACs of the gate and the drain of each amplifier of a C04 card, as in pysmurf; DAC 33 is the gate of hemt1.
_C04_DACS: Final = {"hemt1": (33, 31), "hemt2": (27, 29), "50k1": (30, 32), "50k2": (26, 28)}
_BAND: Final = re.compile(r"band_([0-7])$")


@dataclass(frozen=True)
class Wiring:
    """The wiring of a card.

    ``pairs`` are the two DACs (1-32) of each bias group, ``relays`` the bit of its relay. ``amplifier_dacs`` hold
    gates and drains of amplifiers. ``problem`` says why this is only SMuRF's usual wiring.
    """

    pairs: Mapping[int, tuple[int, int]]
    relays: Mapping[int, int]
    bands: tuple[int, ...]
    amplifier_dacs: frozenset[int] = frozenset()
    problem: str = ""

    def groups_of(self, relays: int) -> list[int]:
        """Return the bias groups whose bits are set in a word of relays."""
        return sorted(group for group, bit in self.relays.items() if relays >> bit & 1)

    def in_words(self, relays: int) -> str:
        """Return the bias groups of a word of relays in words, and the relays that belong to none."""
        without_group = [bit for bit in range(_NUM_RELAYS) if relays >> bit & 1 and bit not in self.relays.values()]
        groups = self.groups_of(relays)
        parts = [f"bias groups {ranges(groups)}"] if groups else []
        return " and ".join(parts + ([f"relays {ranges(without_group)} of no group"] if without_group else []))

    @property
    def depends_on_firmware(self) -> bool:
        """Return whether a bias group has a DAC that drives an amplifier if the cryocard is a C04 card."""
        return any(dac in _dacs_of(_C04_DACS) for pair in self.pairs.values() for dac in pair)

    def for_firmware(self, major: int | None) -> Wiring:
        """Return the wiring with the amplifiers of a cryocard whose firmware has this major version.

        If the version is not known, the card may have four amplifiers, and setting their DACs may destroy them.
        """
        if major in TWO_AMPLIFIERS:
            return self
        return replace(self, amplifier_dacs=self.amplifier_dacs | _dacs_of(_C04_DACS))

    @property
    def shared_groups(self) -> list[int]:
        """Return the bias groups with a DAC that drives an amplifier. They must not be set."""
        return sorted(group for group, pair in self.pairs.items() if self.amplifier_dacs.intersection(pair))

    @property
    def bias_pairs(self) -> dict[int, tuple[int, int]]:
        """Return the DACs of the bias groups that may be set."""
        return {group: pair for group, pair in self.pairs.items() if group not in self.shared_groups}


def usual_wiring(problem: str) -> Wiring:
    """Return SMuRF's usual wiring: bias group g has the DACs 2g+1 and 2g+2, and relay g."""
    groups = range(NUM_BIAS_GROUPS)
    return Wiring(
        {group: (2 * group + 1, 2 * group + 2) for group in groups},
        {group: group for group in groups},
        tuple(range(NUM_BANDS)),
        problem=problem,
    )


def read_pysmurf_file(path: Path) -> dict[str, Any]:
    """Return the table in a pysmurf configuration: JSON with comments that start with ``#``.

    Raises
    ------
    OSError, ValueError
        The file cannot be read, or is not such a table.
    """
    table = json.loads("\n".join(line.partition("#")[0] for line in path.read_text().splitlines()))
    if not isinstance(table, dict):
        raise ValueError(f"{path} is not a JSON table")
    return table


def parse_wiring(table: Mapping[str, Any]) -> Wiring:
    """Return the wiring in the table of a pysmurf configuration.

    Raises
    ------
    ValueError
        The table lacks a part of the wiring, or it has a DAC, relay or group that does not exist.
    """
    try:
        pairs = {int(group): (int(plus), int(minus)) for group, (plus, minus) in table["bias_group_to_pair"].items()}
        relays = {int(group): int(bit) for bit, group in table["pic_to_bias_group"].items()}
        bands = sorted(int(found[1]) for found in map(_BAND.match, table["init"]) if found)
        amplifiers = _amplifier_dacs(table.get("amplifier", {}))
    except (KeyError, TypeError, AttributeError) as cause:
        raise ValueError(f"its wiring cannot be read ({type(cause).__name__}: {cause})") from cause
    _check(pairs, relays)
    own_relays = {group: bit for group, bit in relays.items() if group in pairs}  # the map often names 16 groups
    return Wiring(dict(sorted(pairs.items())), own_relays, tuple(bands), amplifiers)


def ranges(numbers: Iterable[int]) -> str:
    """Format numbers as ranges: ``0-3, 5``."""
    texts = []
    for _, run in groupby(enumerate(sorted(numbers)), key=lambda item: item[1] - item[0]):
        members = [number for _, number in run]
        texts.append(f"{members[0]}-{members[-1]}" if len(members) > 1 else str(members[0]))
    return ", ".join(texts)


def _check(pairs: Mapping[int, tuple[int, int]], relays: Mapping[int, int]) -> None:
    if sorted(pairs) != list(range(len(pairs))) or not pairs:
        raise ValueError(f"bias_group_to_pair must have the groups 0, 1, 2, …; it has {ranges(pairs) or 'none'}")
    dacs = [dac for pair in pairs.values() for dac in pair]
    if wrong := sorted({dac for dac in dacs if not 1 <= dac <= _NUM_DACS or dacs.count(dac) > 1}):
        raise ValueError(
            f"bias_group_to_pair must have different DACs from 1 to {_NUM_DACS}; these are wrong or repeated: {wrong}"
        )
    if missing := sorted(set(pairs) - set(relays)):
        raise ValueError(f"pic_to_bias_group has no relay for bias groups {ranges(missing)}")
    if wrong := sorted(bit for bit in relays.values() if not 0 <= bit < _NUM_RELAYS):
        raise ValueError(f"pic_to_bias_group must have relays from 0 to {_NUM_RELAYS - 1}; it has {wrong}")


def _amplifier_dacs(amplifiers: Mapping[str, Any]) -> frozenset[int]:
    """Return the DACs of the amplifiers that a configuration names: those of a C04 card, or the 50 K gate's."""
    if not any(name in amplifiers for name in _C04_DACS):
        return frozenset({int(amplifiers["dac_num_50k"])} if "dac_num_50k" in amplifiers else ())
    found = {}
    for name, (gate, drain) in _C04_DACS.items():
        given = amplifiers.get(name, {})
        found[name] = (int(given.get("gate_dac_num", gate)), int(given.get("drain_dac_num", drain)))
    return _dacs_of(found)


def _dacs_of(amplifiers: Mapping[str, tuple[int, int]]) -> frozenset[int]:
    return frozenset(dac for pair in amplifiers.values() for dac in pair)
