"""The environment of an operation's process: variables for pysmurf, EPICS and OCS, which keep existing values."""

from __future__ import annotations

from collections.abc import Mapping

from smurfq.config import Settings
from smurfq.config.stream_ids import config_dir
from smurfq.core import publisher_ids
from smurfq.core.publisher_ids import smurfpub_id
from smurfq.core.slot import Lane, SlotId


def environment(settings: Settings, slot: str, lane: Lane, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables to set in the process of an operation of ``slot``, in addition to ``environ``.

    ``SMURFPUB_ID`` and ``SLOT`` are always those of the slot: a process that inherited another slot's would publish
    under its name, or drive its card. All other variables keep their values in ``environ``.
    """
    absent = {name: value for name, value in _defaults(settings, environ).items() if name not in environ}
    return {
        **absent,
        "SLOT": str(SlotId.parse(slot).slot),
        publisher_ids.VARIABLE: smurfpub_id(settings.stream_ids[slot], lane),
    }


def publisher_warning(environ: Mapping[str, str]) -> str | None:
    """Return a warning if the pysmurf Publisher would discard all messages in this environment."""
    backend = environ.get("SMURFPUB_BACKEND", "null")
    if backend == "udp":
        return None
    return (
        f"SMURFPUB_BACKEND is {backend!r}, not 'udp': the pysmurf Publisher DISCARDS every message, "
        "and no script's data or log will reach its session record; unset it, or set it to 'udp'"
    )


def _defaults(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    defaults = {
        "SMURFPUB_BACKEND": settings.publisher_backend,
        "SMURFPUB_UDP_HOST": settings.bridge.host_for_publishers,
        "SMURFPUB_UDP_PORT": str(settings.bridge.port),
        "EPICS_CA_ADDR_LIST": settings.epics.ca_addr_list,
        "EPICS_CA_MAX_ARRAY_BYTES": str(settings.epics.ca_max_array_bytes),
        "MPLBACKEND": "Agg",
    }
    if settings.epics.ca_auto_addr_list is not None:
        defaults["EPICS_CA_AUTO_ADDR_LIST"] = settings.epics.ca_auto_addr_list
    if (folder := config_dir(settings, environ)) is not None:
        defaults["SMURF_CONFIG_DIR"] = defaults["OCS_CONFIG_DIR"] = folder
    return defaults
