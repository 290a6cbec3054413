"""Defines which slots are simulated, and the folders of their files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from smurfq.core.card import NUM_BANDS, PROCESSED_CHANNELS
from smurfq.core.slot import SlotId
from smurfq.errors import ConfigError

LOOPBACK: Final = "127.0.0.1"
MOST_DETECTORS: Final = NUM_BANDS * PROCESSED_CHANNELS  # channels that SMuRF processes


@dataclass(frozen=True)
class Folders:
    """The folders of a simulated site that correspond to `/data` and the configuration folder of a crate's server."""

    config: Path
    smurf_data: Path
    timestreams: Path

    @classmethod
    def below(cls, folder: Path) -> Folders:
        """Return the folders of a site that is in one folder."""
        folder = folder.absolute()
        return cls(folder / "config", folder / "smurf_data", folder / "timestreams")


@dataclass(frozen=True)
class Options:
    """Which slots are simulated, and where.

    Parameters
    ----------
    slots
        Ids of the slots; no two may have the same number, since Channel Access knows a slot by its number alone.
    folder
        The simulator's own: status, faults, and the truth of each slot.
    folders
        Where pysmurf and sodetlib look.
    port
        Of Channel Access, TCP and UDP, on loopback.
    seed, detectors
        Of each slot's population; a slot's own seed is this one and its number.
    high_precision
        Whether the streams carry the timing system's counters.
    file_duration_s
        After how long a stream begins a new file.
    cold
        Whether the cards start as just powered, without bias, tones and tune; else as a setup leaves them.
    """

    slots: tuple[str, ...]
    folder: Path
    folders: Folders
    port: int
    seed: int = 1
    detectors: int = 1700
    high_precision: bool = False
    file_duration_s: float = 600.0
    cold: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.detectors <= MOST_DETECTORS:
            raise ConfigError(f"sim.detectors must be from 1 to {MOST_DETECTORS}; got {self.detectors}")
        numbers = [SlotId.parse(slot).slot for slot in self.slots]
        if not numbers or len(set(numbers)) != len(numbers):
            raise ConfigError(
                "one simulator serves slots of different numbers, at least one: a slot's registers are named by "
                f"its number alone; got {', '.join(self.slots) or 'none'}"
            )

    @property
    def address(self) -> str:
        """The address of the slots, in the format of EPICS_CA_ADDR_LIST."""
        return f"{LOOPBACK}:{self.port}"

    def seed_of(self, slot: str) -> int:
        """Return the seed of a slot's detectors."""
        return self.seed * 100 + SlotId.parse(slot).slot
