"""Defines the folders and environment variables of a site with simulated slots."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from smurfq.config import Settings
from smurfq.core.card_wiring import read_pysmurf_file
from smurfq.core.slot import SlotId
from smurfq.errors import ConfigError
from smurfq.sim.options import Folders, Options
from smurfq.sim.wiring import Shape, parse_shape


def folder_of(settings: Settings) -> Path:
    """Return the folder of a site's simulator."""
    return settings.state_dir.absolute() / "sim"


def options_of(settings: Settings, slots: Sequence[str], folder: Path | None = None) -> Options:
    """Return the options of a site's simulator; ``folder`` replaces the site's own.

    Raises
    ------
    ConfigError
        Two of the slots have the same number, or sim.pysmurf_config cannot be read.
    """
    below = folder.absolute() if folder is not None else folder_of(settings)
    table, shape = _shape(settings)
    return Options(
        slots=tuple(slots),
        stream_ids={slot: _stream_id(settings, slot) for slot in slots},
        folder=below,
        folders=Folders.below(below),
        port=settings.sim.port,
        seed=settings.sim.seed,
        detectors=min(settings.sim.detectors, shape.most_detectors) if table is not None else settings.sim.detectors,
        high_precision=settings.sim.high_precision,
        file_duration_s=settings.sim.file_duration_s,
        cold=settings.sim.cold,
        publish_to=(settings.bridge.host_for_publishers, settings.bridge.port) if settings.sim.publish else None,
        metadata_hz=settings.sim.metadata_hz,
        shape=shape,
        pysmurf=table,
    )


def _stream_id(settings: Settings, slot: str) -> str:
    """Return the stream id of a slot in the settings; if they give none, that of a simulated module."""
    known = settings.stream_ids.get(slot, slot)
    return known if settings.simulated or known != slot else SlotId.parse(slot).simulated_stream_id


def _shape(settings: Settings) -> tuple[dict[str, Any] | None, Shape]:
    """Return the pysmurf configuration in the settings, if there is one, and the shape of the cards."""
    major, minor, patch = map(int, settings.sim.cryocard_firmware.split("."))
    path = settings.sim.pysmurf_config
    if path is None:
        return None, Shape(firmware=(major, minor, patch))
    try:
        table = read_pysmurf_file(path)
        return table, parse_shape(table, (major, minor, patch))
    except (OSError, ValueError) as cause:
        raise ConfigError(f"sim.pysmurf_config {path} cannot be read: {cause}") from cause


def client_variables(options: Options) -> dict[str, str]:
    """Return the variables with which pysmurf, sodetlib and Channel Access clients find the simulated slots."""
    return {
        "EPICS_CA_ADDR_LIST": options.address,
        "EPICS_CA_AUTO_ADDR_LIST": "NO",
        "SMURF_CONFIG_DIR": str(options.folders.config),
        "OCS_CONFIG_DIR": str(options.folders.config),
    }


def site_variables(options: Options) -> dict[str, str]:
    """Return the variables of all processes of a simulated site; they override those of a real card."""
    return {
        **client_variables(options),
        "SMURFQ_SIMULATED": "true",
        "SMURFQ_EPICS_CA_ADDR_LIST": options.address,
        "SMURFQ_EPICS_CA_AUTO_ADDR_LIST": "NO",
        "SMURFQ_SMURF_CONFIG_DIR": str(options.folders.config),
        "SMURFQ_SMURF_TIMESTREAMS_DIR": str(options.folders.timestreams),
        "SMURFQ_SMURF_SMURF_DATA_DIR": str(options.folders.smurf_data),
    }
