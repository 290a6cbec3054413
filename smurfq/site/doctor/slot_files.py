"""Checks the values in the configuration files of each slot: those with which operations fail, and dangerous ones."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping

from smurfq.core.slot import SlotId
from smurfq.errors import ConfigError
from smurfq.operation_process.environment import environment
from smurfq.site.doctor.finding import Examined, Finding, fail, ok, warn
from smurfq.smurf_control.configuration import check_device, read_files
from smurfq.smurf_control.device_checks import sodetlib_defaults, warnings_in
from smurfq.smurf_control.slot_files import slot_files


def check(examined: Examined) -> Iterator[Finding]:
    """Check the files of each slot that `sys_config.yml` on this machine describes."""
    if importlib.util.find_spec("yaml") is None:
        return
    settings = examined.settings
    environ = {**examined.environ, **environment(settings, settings.slots[0], "control", examined.environ)}
    for slot in settings.slots:
        yield from _slot(slot, environ)


def _slot(slot: str, environ: Mapping[str, str]) -> Iterator[Finding]:
    name = f"values of {slot}"
    try:
        files = slot_files(slot, environ)
    except ConfigError:
        return  # ``files`` reports it
    if files.crate != SlotId.parse(slot).crate or not files.device.is_file() or not files.pysmurf.is_file():
        return
    try:
        device, wiring = read_files(slot, files, environ)
        check_device(slot, files, environ, device, wiring)
    except ConfigError as error:
        yield fail(name, str(error), "correct it; operations that use it fail")
        return
    if wiring.shared_groups:
        shared = ", ".join(map(str, wiring.shared_groups))
        yield warn(
            name,
            f"bias groups {shared} of {files.pysmurf} have DACs that drive the cryocard's amplifiers: smurfq does not "
            "use them, and they are not zeroed",
            "remove them from bias_group_to_pair",
        )
    defaults = sodetlib_defaults()
    warnings = list(warnings_in(device, defaults)) if defaults is not None else []
    for text in warnings:
        yield warn(name, f"{files.device}: {text}", "correct or remove it")
    if not warnings:
        bands = ", ".join(map(str, wiring.bands))
        yield ok(name, f"{len(wiring.bias_pairs)} bias groups, bands {bands}; its device configuration can be used")
