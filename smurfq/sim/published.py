"""Lists the registers whose values the smurf server publishes, and how often it polls each.

The list is the publish group of smurf-streamer's ``meta_registers.yaml`` (simonsobs/smurf-streamer, May 2026). A server
publishes a register when somebody writes it, when somebody reads it, and each time the server polls it. The poll
intervals are those of that file, or of pysmurf's own devices (pysmurf 10.3.4: ``core.counters``, one second) and of
smurf-streamer's ``StreamBase`` (one second). The timing link's counters have no interval in either; here it is one
second, because a monitor could not see an error otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from smurfq.core.card import NUM_BANDS
from smurfq.sim import registers as r
from smurfq.sim.downsampling import MODE


@dataclass(frozen=True)
class PublishedRegister:
    """A register of the publish group.

    Parameters
    ----------
    name
        The register's name in Channel Access, without the slot's prefix.
    poll_s
        The interval at which the server polls it; None: it is not polled.
    boolean
        Whether the server publishes its value as a bool.
    """

    name: str
    poll_s: float | None = None
    boolean: bool = False

    @property
    def path(self) -> str:
        """Return the register's path in a message, which has dots."""
        return self.name.replace(":", ".")


def _published() -> Iterator[PublishedRegister]:
    for name in (r.ROGUE_VERSION, r.ROGUE_DIRECTORY, r.ENABLE_STREAMING, r.TUNE_PATH):
        yield PublishedRegister(name)
    for band in range(NUM_BANDS):
        yield PublishedRegister(r.band_register(band, "ScratchPad"))
    for name in (r.FPGA_TEMPERATURE, r.CARRIER_CURRENT, *r.LINK_ERRORS, *r.FRAME_COUNTERS, *r.DROPPED):
        yield PublishedRegister(name, 1.0)
    yield PublishedRegister(MODE, 30.0)
    yield PublishedRegister(r.DATA_FILE_OPEN, 5.0, boolean=True)
    yield PublishedRegister(r.PROCESSOR + "FileWriter:DataFile")
    yield PublishedRegister(r.OPEN_STREAM, 5.0)
    for name in ("pysmurf_action", "pysmurf_action_timestamp", "stream_tag", *r.BUILD_TIMES):
        yield PublishedRegister(r.STREAM + name)


PUBLISHED: Final = {register.name: register for register in _published()}
"""The published registers by name, 31 of each slot."""

POLLED_HZ: Final = sum(1.0 / register.poll_s for register in PUBLISHED.values() if register.poll_s)
"""The values that these intervals publish each second."""
