"""Finds the configuration files of a slot in the environment: what `sys_config.yml` says of them, without sodetlib."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any, Final

from smurfq.core.slot import SlotId
from smurfq.errors import ConfigError

FOLDER_VARIABLES: Final = ("SMURF_CONFIG_DIR", "OCS_CONFIG_DIR")  # in sodetlib's order
_NEEDED: Final = ("stream_id", "device_config", "pysmurf_config")
_ADVICE: Final = {
    "stream_id": "add it (stream_id: {}), with the name under which the slot's streamer writes; without it, the "
    "streamer takes this one, and sodetlib cannot load the file",
    "device_config": "add it, with the path of the slot's device configuration",
    "pysmurf_config": "add it, with the path of the slot's pysmurf configuration",
}


@dataclass(frozen=True)
class SlotFiles:
    """The configuration files of a slot, and the crate that they are for. They need not exist, except ``system``."""

    crate: Any
    system: Path
    device: Path
    pysmurf: Path
    uxm: Path | None


def slot_files(slot: str, environ: Mapping[str, str]) -> SlotFiles:
    """Return the files that `sys_config.yml` names for a slot.

    Raises
    ------
    ConfigError
        `sys_config.yml` is missing, cannot be read, or does not describe the slot.
    """
    name = next((name for name in FOLDER_VARIABLES if name in environ), None)
    if name is None:
        raise config_error(slot, environ, "no configuration folder is set")
    system = Path(environ[name]) / "sys_config.yml"
    table = read_table(slot, environ, system, f"{system} is missing")
    slots = table.get("slots")
    entry = f"SLOT[{SlotId.parse(slot).slot}]"
    own = slots.get(entry) if isinstance(slots, dict) else None
    if not isinstance(own, dict):
        known = ", ".join(map(str, slots)) if isinstance(slots, dict) else ""
        raise config_error(slot, environ, f"{system} has no slots: {entry}; it has {known or 'none'}")
    for key in _NEEDED:
        if not isinstance(own.get(key), str):
            advice = _ADVICE[key].format(slot)
            raise config_error(slot, environ, f"slots: {entry} of {system} lacks {key}; {advice}")
    uxm = own.get("uxm_file")
    return SlotFiles(
        table.get("crate_id"),
        system,
        _expanded(own["device_config"], environ).absolute(),
        _expanded(own["pysmurf_config"], environ),
        _expanded(uxm, environ) if isinstance(uxm, str) else None,
    )


def read_table(slot: str, environ: Mapping[str, str], path: Path, missing: str) -> dict[str, Any]:
    """Return the table in a YAML file of a slot. ``missing`` is the error's text if there is no such file.

    Raises
    ------
    ConfigError
        The file is missing, cannot be read, or contains no table.
    """
    if not path.is_file():
        raise config_error(slot, environ, missing)
    try:
        found = parse_table(path.read_bytes())
    except (OSError, ValueError) as cause:
        raise config_error(slot, environ, f"{path} cannot be read: {' '.join(str(cause).split())}") from cause
    if found is None:
        raise config_error(slot, environ, f"{path} is not a YAML table")
    return found


def parse_table(text: bytes) -> dict[str, Any] | None:
    """Return the table in a YAML text; None if the text is something else.

    Raises
    ------
    ValueError
        The text is not YAML.
    """
    import yaml

    try:
        found = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as cause:
        raise ValueError(str(cause)) from cause
    return found if isinstance(found, dict) else None


def config_error(slot: str, environ: Mapping[str, str], problem: str) -> ConfigError:
    """Return the error for a problem with a slot's configuration, with the place of its folder."""
    where = next((f"{name}={environ[name]}" for name in FOLDER_VARIABLES if name in environ), "nowhere")
    return ConfigError(
        f"the configuration of {slot}: {problem}. The folder is smurf.config_dir of the site file, or "
        f"SMURF_CONFIG_DIR (now {where})",
        slot=slot,
    )


def _expanded(text: str, environ: Mapping[str, str]) -> Path:
    """Return a path with the variables of the environment, which sodetlib expands too."""
    return Path(Template(text).safe_substitute(environ)) if "$" in text else Path(text)
