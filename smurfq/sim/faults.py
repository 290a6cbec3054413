"""Defines the faults that can be injected into a simulated slot, and the file that requests them.

The file is `<folder>/faults.json`: slot → {fault: true or its value}. The simulator reads it whenever it has
changed, and lists the active faults in its `status.json`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from smurfq.core.card import NUM_BANDS
from smurfq.core.private_files import make_folder
from smurfq.core.slot import SlotId
from smurfq.errors import ConfigError, ParameterError
from smurfq.sim.cryocard import AMPLIFIER_NAMES
from smurfq.sim.registers import FPGA

FILE_NAME: Final = "faults.json"
MEANINGS: Final = {
    "silent": "the smurf server answers nothing, not even a search",
    "dead_registers": "registers (names after smurf_server_sN:, or their ends) that never answer",
    "no_cryocard": "the cryocard answers nothing: every reply is 0",
    "never_closes": "an open g3 file is never closed",
    "gaps": "the fraction of a stream's samples that are missing, in blocks of half a second",
    "locked_up": "the card's link is dead until AMCc:RestartRssi is written",
    "stuck_amplifiers": "amplifiers (hemt1, hemt2, 50k1, 50k2) whose drain currents do not follow their gates",
    "no_resonators": "bands (0 to 7) without resonances, as when the resonators are warm",
    "scans_stall": "a sweep, gradient descent or eta scan does not end until the fault is cleared",
    "overheated": "the FPGA is 40 degrees warmer than it should be",
    "link_errors": "the timing link's error counters rise by ten a second",
    "no_captures": "raw and debug captures do not end until the fault is cleared",
}

_LISTS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "dead_registers": lambda one: isinstance(one, str) and bool(one),
    "stuck_amplifiers": lambda one: one in AMPLIFIER_NAMES,
    "no_resonators": lambda one: type(one) is int and 0 <= one < NUM_BANDS,
}


@dataclass(frozen=True)
class Faults:
    """The faults of a slot; none by default."""

    silent: bool = False
    dead_registers: tuple[str, ...] = ()
    no_cryocard: bool = False
    never_closes: bool = False
    gaps: float = 0.0
    locked_up: bool = False
    stuck_amplifiers: tuple[str, ...] = ()
    no_resonators: tuple[int, ...] = ()
    scans_stall: bool = False
    overheated: bool = False
    link_errors: bool = False
    no_captures: bool = False

    def answers(self, register: str) -> bool:
        """Return whether a register answers."""
        if self.silent or (self.locked_up and register.startswith(FPGA)):
            return False
        return not any(register.endswith(dead) for dead in self.dead_registers)

    def to_dict(self) -> dict[str, Any]:
        """Return the faults that are present, as in the file."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items() if value
        }

    def with_fault(self, name: str, value: Any) -> Faults:
        """Return these faults with one added, or with one removed if ``value`` is false.

        Raises
        ------
        ParameterError
            The fault does not exist, or cannot have this value.
        """
        if name not in MEANINGS:
            raise ParameterError(f"no such fault: {name!r}; known are {', '.join(MEANINGS)}", parameter=name)
        wrong = ParameterError(f"fault {name} cannot have the value {value!r}: {MEANINGS[name]}", parameter=name)
        if name in _LISTS:
            if not value:
                value = ()
            if not isinstance(value, list | tuple) or not all(_LISTS[name](one) for one in value):
                raise wrong
            listed: dict[str, Any] = {name: tuple(value)}
            return replace(self, **listed)
        if name == "gaps":
            if isinstance(value, bool):
                value = 0.2 if value else 0.0
            if not isinstance(value, int | float) or not 0 <= value < 1:
                raise wrong
            return replace(self, gaps=float(value))
        if not isinstance(value, bool):
            raise wrong
        flags: dict[str, Any] = {name: value}
        return replace(self, **flags)


def from_dict(values: Mapping[str, Any]) -> Faults:
    """Return the faults that `Faults.to_dict` converted to ``values``."""
    faults = Faults()
    for name, value in values.items():
        faults = faults.with_fault(name, value)
    return faults


def read(folder: Path) -> dict[str, Faults]:
    """Return the faults of every slot that has any, by place.

    Raises
    ------
    ConfigError
        The file does not have this module's format.
    """
    path = folder / FILE_NAME
    try:
        asked: Any = json.loads(path.read_text())
        return {str(SlotId.parse(slot)): from_dict(values) for slot, values in asked.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, AttributeError, ParameterError) as cause:
        raise ConfigError(
            f"{path} is not a file of faults: {cause}; `smurfq sim fault --clear` writes a new one"
        ) from cause


def write(folder: Path, faults: Mapping[str, Faults]) -> None:
    """Request ``faults``, replacing all earlier requests."""
    make_folder(folder)
    text = json.dumps({slot: found.to_dict() for slot, found in faults.items() if found.to_dict()}, indent=1)
    unfinished = folder / f"{FILE_NAME}.{os.getpid()}"
    unfinished.write_text(text)
    unfinished.replace(folder / FILE_NAME)
