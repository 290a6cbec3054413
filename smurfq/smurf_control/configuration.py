"""Reads the configuration files of a slot with sodetlib, and explains errors in them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from smurfq.config import Settings
from smurfq.core.slot import SlotId
from smurfq.errors import ConfigError

_FOLDER_VARIABLES: Final = ("SMURF_CONFIG_DIR", "OCS_CONFIG_DIR")  # in sodetlib's order
_NEEDED: Final = ("stream_id", "device_config", "pysmurf_config")
_MAKE_ONE: Final = (
    "make one with python -c \"from sodetlib.det_config import DeviceConfig; DeviceConfig.from_yaml('{}')\""
)


def load_config(settings: Settings, slot: str) -> Any:
    """Return the ``DetConfig`` of a slot, after a check that all its files exist and can be read.

    Raises
    ------
    ConfigError
        A file is missing, cannot be read, or is incomplete. The message names the file, and says what to do.
    """
    from pysmurf.client.base.smurf_config import SmurfConfig
    from sodetlib.det_config import DetConfig

    _check_files(slot)
    config = DetConfig()
    try:
        config.load_config_files(slot=SlotId.parse(slot).slot)
    except (OSError, LookupError, ValueError, TypeError, AttributeError) as cause:
        dev_file = getattr(config, "dev_file", None)
        raise _error(slot, f"sodetlib cannot use {dev_file or 'it'}: {type(cause).__name__}: {cause}") from cause
    try:
        SmurfConfig.read_json(config.pysmurf_file)
    except (OSError, ValueError) as cause:
        raise _error(slot, f"pysmurf's configuration {config.pysmurf_file} cannot be read: {cause}") from cause
    # Only take_noise uses this key; the other functions use the folders of apply_paths. All get the same folder.
    config.sys["g3_dir"] = str(settings.smurf.timestreams_dir)
    return config


def _check_files(slot: str) -> None:
    """Check that all files of a slot exist and are plausible."""
    name = next((name for name in _FOLDER_VARIABLES if name in os.environ), None)
    if name is None:
        raise _error(slot, "no configuration folder is set")
    sys_file = Path(os.environ[name]) / "sys_config.yml"
    slots = _table(slot, sys_file, f"{sys_file} is missing").get("slots")
    entry = f"SLOT[{SlotId.parse(slot).slot}]"
    own = slots.get(entry) if isinstance(slots, dict) else None
    if not isinstance(own, dict):
        known = ", ".join(map(str, slots)) if isinstance(slots, dict) else ""
        raise _error(slot, f"{sys_file} has no slots: {entry}; it has {known or 'none'}")
    for key in _NEEDED:
        if not isinstance(own.get(key), str):
            raise _error(slot, f"slots: {entry} of {sys_file} lacks {key}")
    device = Path(os.path.expandvars(own["device_config"])).absolute()
    # sodetlib would create a file with defaults, and continue without the slot's bias lines, tune and IV.
    _table(slot, device, f"the device configuration {device} is missing; copy it there, or {_MAKE_ONE.format(device)}")
    pysmurf = Path(os.path.expandvars(own["pysmurf_config"]))
    if not pysmurf.is_file():
        raise _error(slot, f"pysmurf's configuration {pysmurf} is missing")


def _table(slot: str, path: Path, missing: str) -> dict[str, Any]:
    """Return the table in a YAML file."""
    import yaml

    if not path.is_file():
        raise _error(slot, missing)
    try:
        found = yaml.safe_load(path.read_text())
    except (OSError, ValueError, yaml.YAMLError) as cause:
        raise _error(slot, f"{path} cannot be read: {' '.join(str(cause).split())}") from cause
    if not isinstance(found, dict):
        raise _error(slot, f"{path} is not a YAML table")
    return found


def _error(slot: str, problem: str) -> ConfigError:
    where = next((f"{name}={os.environ[name]}" for name in _FOLDER_VARIABLES if name in os.environ), "nowhere")
    return ConfigError(
        f"the configuration of {slot}: {problem}. The folder is smurf.config_dir of the site file, or "
        f"SMURF_CONFIG_DIR (now {where})",
        slot=slot,
    )
