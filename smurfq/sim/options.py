"""Defines the slots to simulate, and the folders of their files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from smurfq.core.slot import SlotId
from smurfq.errors import ConfigError
from smurfq.sim.pysmurf_publishers import Address
from smurfq.sim.wiring import Shape

LOOPBACK: Final = "127.0.0.1"


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
    """The options of the simulator.

    Parameters
    ----------
    slots
        Places of the slots. Each must have a different number, since a register's name contains only that number.
    stream_ids
        The stream id of each of the slots, by place.
    folder
        The simulator's folder, for its status, faults, and the true values of each slot.
    folders
        The folders of pysmurf and sodetlib.
    port
        The port of Channel Access, TCP and UDP, on loopback.
    seed, detectors
        The random seed and the number of detectors. A slot's seed is made of this one and the slot's number.
    high_precision
        Whether the streams contain the timing system's counters.
    file_duration_s
        The duration of a stream's file, before the next one starts.
    cold
        Whether the cards start as after power-on, without bias, tones and tune; otherwise as after a setup.
    publish_to
        The bridge's address, to which the simulated smurf server publishes g3 files and registers; None: to nobody.
    metadata_hz
        The register values that each slot publishes per second because the server polls them.
    shape
        The wiring and the cryocard of each card.
    pysmurf
        The pysmurf configuration that describes the shape; by default the simulator's own.
    """

    slots: tuple[str, ...]
    stream_ids: Mapping[str, str]
    folder: Path
    folders: Folders
    port: int
    seed: int = 1
    detectors: int = 1700
    high_precision: bool = False
    file_duration_s: float = 600.0
    cold: bool = False
    publish_to: Address | None = None
    metadata_hz: float = 25.0
    shape: Shape = field(default_factory=Shape)
    pysmurf: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.detectors <= self.shape.most_detectors:
            raise ConfigError(f"sim.detectors must be from 1 to {self.shape.most_detectors}; got {self.detectors}")
        numbers = [SlotId.parse(slot).slot for slot in self.slots]
        if not numbers or len(set(numbers)) != len(numbers):
            raise ConfigError(
                "the slots of one simulator, at least one, must have different numbers: a register's name has only "
                f"the slot's number; got {', '.join(self.slots) or 'none'}"
            )

    @property
    def address(self) -> str:
        """Return the address of the slots, in the format of EPICS_CA_ADDR_LIST."""
        return f"{LOOPBACK}:{self.port}"

    def seed_of(self, slot: str) -> int:
        """Return the seed of a slot's detectors."""
        return self.seed * 100 + SlotId.parse(slot).slot
