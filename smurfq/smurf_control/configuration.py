"""Loads the configuration files of a slot with sodetlib, and explains errors in them."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, Final

from smurfq.config import Settings
from smurfq.core.card_wiring import parse_wiring, read_pysmurf_file
from smurfq.core.slot import SlotId
from smurfq.errors import ConfigError
from smurfq.smurf_control.device_copy import copy_path, earlier_path
from smurfq.smurf_control.slot_files import SlotFiles, config_error, read_table, slot_files

_MAKE_ONE: Final = (
    "make one with python -c \"from sodetlib.det_config import DeviceConfig; DeviceConfig.from_yaml('{}')\""
)


def load_config(settings: Settings, slot: str, *, reads_only: bool = False) -> Any:
    """Return the ``DetConfig`` of a slot, after a check that all its files exist and can be read.

    An operation that ``reads_only`` runs beside others, which may be writing the device configuration. If that file
    cannot be read, it gets the copy from before the run that writes.

    Raises
    ------
    ConfigError
        A file is missing, cannot be read, or is incomplete. The message names the file, and says what to do.
    """
    files, copy = slot_files(slot, os.environ), copy_path(settings, slot)
    try:
        config = _load(slot, files)
    except ConfigError as error:
        if not reads_only or not copy.is_file():
            earlier = earlier_path(settings, slot)
            if str(files.device) in str(error) and earlier.is_file():
                raise ConfigError(f"{error}. {earlier} is a complete copy from an earlier run", slot=slot) from error
            raise
        config = _load(slot, replace(files, device=copy))
    # Only take_noise uses this key; the other functions use the folders of apply_paths. All get the same folder.
    config.sys["g3_dir"] = str(settings.smurf.timestreams_dir)
    return config


def _load(slot: str, files: SlotFiles) -> Any:
    from sodetlib.det_config import DetConfig

    _check_files(slot, files)
    config = DetConfig()
    try:
        config.load_config_files(slot=SlotId.parse(slot).slot, dev_file=str(files.device))
    except (OSError, LookupError, ValueError, TypeError, AttributeError) as cause:
        used = getattr(config, "dev_file", None)
        problem = f"sodetlib cannot use {used or 'it'}: {type(cause).__name__}: {cause}"
        raise config_error(slot, os.environ, problem) from cause
    return config


def _check_files(slot: str, files: SlotFiles) -> None:
    """Check that all files of a slot exist and are plausible."""
    environ = os.environ
    # sodetlib would create a file with defaults, and continue without the slot's bias lines, tune and IV.
    missing = f"the device configuration {files.device} is missing; copy it there, or {_MAKE_ONE.format(files.device)}"
    read_table(slot, environ, files.device, missing)
    if not files.pysmurf.is_file():
        raise config_error(slot, environ, f"pysmurf's configuration {files.pysmurf} is missing")
    try:
        parse_wiring(read_pysmurf_file(files.pysmurf))
    except (OSError, ValueError) as cause:
        problem = f"pysmurf's configuration {files.pysmurf} cannot be read: {cause}"
        raise config_error(slot, environ, problem) from cause
    if files.uxm is not None:
        missing = f"the uxm_file {files.uxm} is missing; copy it there, or remove uxm_file from {files.system}"
        read_table(slot, environ, files.uxm, missing)
