"""Loads the configuration files of a slot with sodetlib, and explains errors in them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from smurfq.config import Settings
from smurfq.core.card_wiring import Wiring, parse_wiring, read_pysmurf_file
from smurfq.core.slot import SlotId
from smurfq.errors import ConfigError
from smurfq.smurf_control.device_checks import errors_in, first_of, sodetlib_defaults
from smurfq.smurf_control.device_copy import copy_path, earlier_path
from smurfq.smurf_control.slot_files import SlotFiles, config_error, read_table, slot_files

_MAKE_ONE: Final = (
    "make one with python -c \"from sodetlib.det_config import DeviceConfig; DeviceConfig.from_yaml('{}')\""
)


def load_config(settings: Settings, slot: str, *, uses_device: bool = True) -> Any:
    """Return the ``DetConfig`` of a slot, after a check that all its files exist and can be read.

    Operations that do not use the values of the device configuration need not fail because of them: if it cannot be
    read, they get its copy. This is so for biases and `all_off`, and for `check_state`, which runs while others write.

    Raises
    ------
    ConfigError
        A file is missing, cannot be read, or is incomplete. The message names the file, and says what to do.
    """
    files, copy = slot_files(slot, os.environ), copy_path(settings, slot)
    try:
        config = _load(slot, files, uses_device=uses_device)
    except ConfigError as error:
        if uses_device or not copy.is_file():
            earlier = earlier_path(settings, slot)
            if str(files.device) in str(error) and earlier.is_file():
                raise ConfigError(f"{error}. {earlier} is a complete copy from an earlier run", slot=slot) from error
            raise
        config = _load(slot, replace(files, device=copy), uses_device=False)
    # Only take_noise uses this key; the other functions use the folders of apply_paths. All get the same folder.
    config.sys["g3_dir"] = str(settings.smurf.timestreams_dir)
    return config


def _load(slot: str, files: SlotFiles, *, uses_device: bool) -> Any:
    from sodetlib.det_config import DetConfig

    device, wiring = read_files(slot, files, os.environ)
    if uses_device:
        check_device(slot, files, os.environ, device, wiring)
    config = DetConfig()
    try:
        config.load_config_files(slot=SlotId.parse(slot).slot, dev_file=str(files.device))
    except (OSError, LookupError, ValueError, TypeError, AttributeError) as cause:
        used = getattr(config, "dev_file", None)
        problem = f"sodetlib cannot use {used or 'it'}: {type(cause).__name__}: {cause}"
        raise config_error(slot, os.environ, problem) from cause
    if "active_bands" not in (device.get("experiment") or {}):  # sodetlib's default is all bands of two bays
        config.dev.exp["active_bands"] = list(wiring.bands)
    _fill_bands(config.dev.bands)
    return config


def _fill_bands(bands: list[dict[str, Any]]) -> None:
    """Give all bands the same values, None by default. sodetlib cannot write a value that only some bands have."""
    for key in {key: None for band in bands for key in band}:
        for band in bands:
            band.setdefault(key, None)


def read_files(slot: str, files: SlotFiles, environ: Mapping[str, str]) -> tuple[dict[str, Any], Wiring]:
    """Read all files of a slot, and return its device configuration and wiring.

    Raises
    ------
    ConfigError
        A file is missing or cannot be read.
    """
    # sodetlib would create a file with defaults, and continue without the slot's bias lines, tune and IV.
    missing = f"the device configuration {files.device} is missing; copy it there, or {_MAKE_ONE.format(files.device)}"
    device = read_table(slot, environ, files.device, missing)
    if not files.pysmurf.is_file():
        raise config_error(slot, environ, f"pysmurf's configuration {files.pysmurf} is missing")
    try:
        wiring = parse_wiring(read_pysmurf_file(files.pysmurf))
    except (OSError, ValueError) as cause:
        problem = f"pysmurf's configuration {files.pysmurf} cannot be read: {cause}"
        raise config_error(slot, environ, problem) from cause
    if files.uxm is not None:
        missing = f"the uxm_file {files.uxm} is missing; copy it there, or remove uxm_file from {files.system}"
        read_table(slot, environ, files.uxm, missing)
    return device, wiring


def check_device(
    slot: str, files: SlotFiles, environ: Mapping[str, str], device: Mapping[str, Any], wiring: Wiring
) -> None:
    """Check the values of a device configuration.

    Raises
    ------
    ConfigError
        It has a value with which operations fail.
    """
    defaults = sodetlib_defaults()
    if defaults is not None and (errors := errors_in(device, wiring, defaults)):
        problem = f"the device configuration {files.device} cannot be used: {first_of(errors)}"
        raise config_error(slot, environ, problem)
