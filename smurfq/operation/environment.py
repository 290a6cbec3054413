"""The environment of an operation's process: variables for pysmurf, EPICS and OCS, set unless they exist."""

from __future__ import annotations

from collections.abc import Mapping

from smurfq.config import Settings
from smurfq.core.slot import Lane, SlotId, publisher_id

_ANY_ADDRESS = frozenset({"", "0.0.0.0", "::"})


def environment(settings: Settings, slot: str, lane: Lane, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables to set in the process of an operation of ``slot``, beside those of ``environ``.

    ``SMURFPUB_ID`` and ``SLOT`` are always the slot's own: a process that inherits another's would publish
    under its name, or drive its card. All others keep what ``environ`` says.
    """
    absent = {name: value for name, value in _defaults(settings, environ).items() if name not in environ}
    return {
        **absent,
        "SLOT": str(SlotId.parse(slot).slot),
        "SMURFPUB_ID": publisher_id(slot, lane),
    }


def publisher_warning(environ: Mapping[str, str]) -> str | None:
    """What is wrong with an operation's environment, if its Publisher would discard what it is given."""
    backend = environ.get("SMURFPUB_BACKEND", "null")
    if backend == "udp":
        return None
    return (
        f"SMURFPUB_BACKEND is {backend!r}, not 'udp': the pysmurf Publisher DISCARDS every message, "
        "and no script's data or log will reach its session record; unset it, or set it to 'udp'"
    )


def _defaults(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    bridge_host = settings.bridge.host
    defaults = {
        "SMURFPUB_BACKEND": settings.publisher_backend,
        "SMURFPUB_UDP_HOST": "127.0.0.1" if bridge_host in _ANY_ADDRESS else bridge_host,
        "SMURFPUB_UDP_PORT": str(settings.bridge.port),
        "EPICS_CA_ADDR_LIST": settings.epics.ca_addr_list,
        "EPICS_CA_MAX_ARRAY_BYTES": str(settings.epics.ca_max_array_bytes),
        "MPLBACKEND": "Agg",
    }
    if settings.epics.ca_auto_addr_list is not None:
        defaults["EPICS_CA_AUTO_ADDR_LIST"] = settings.epics.ca_auto_addr_list
    if (config_dir := _config_dir(settings, environ)) is not None:
        defaults["SMURF_CONFIG_DIR"] = defaults["OCS_CONFIG_DIR"] = config_dir
    return defaults


def _config_dir(settings: Settings, environ: Mapping[str, str]) -> str | None:
    """The folder of sys_config.yml, by either name; sodetlib prefers the first, which may not overrule."""
    for name in ("SMURF_CONFIG_DIR", "OCS_CONFIG_DIR"):
        if name in environ:
            return environ[name]
    return str(settings.smurf.config_dir) if settings.smurf.config_dir is not None else None
