"""Keeps a copy of a slot's device configuration, and restores it after a run that left the file half-written.

sodetlib writes the file in place, so a process that dies meanwhile truncates it. The pool child copies the file before
each run of the control lane, and `make_safe` compares it with the copy after a run that did not succeed. The state lane
reads the copy while the file is being written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from smurfq.config import Settings
from smurfq.core.private_files import make_folder
from smurfq.errors import ConfigError
from smurfq.smurf_control.slot_files import parse_table, slot_files

SECTIONS: Final = ("experiment", "bias_groups", "bands")
_BANDS_PER_AMC: Final = 4

Keys = set[tuple[str, str]]


def copy_path(settings: Settings, slot: str) -> Path:
    """Return the path of the copy of a slot's device configuration."""
    return settings.state_dir.absolute() / "device_configurations" / f"{slot}.yml"


def earlier_path(settings: Settings, slot: str) -> Path:
    """Return the path of the last complete copy, if the file was found incomplete before a run."""
    return copy_path(settings, slot).with_suffix(".earlier.yml")


def keep_copy(settings: Settings, slot: str, environ: Mapping[str, str]) -> None:
    """Copy a slot's device configuration before a run, if it is complete.

    If it is not complete, somebody may be editing it. An earlier copy is then renamed, so that it is not restored.

    Raises
    ------
    OSError
        The file could not be read or copied.
    ConfigError
        The slot's configuration is missing or wrong, so that its device configuration is not known.
    """
    device, copy = slot_files(slot, environ).device, copy_path(settings, slot)
    found, kept = device.read_bytes(), _read(copy)
    if found == kept:
        return
    if _keys(found) is None:
        if kept is not None:
            copy.replace(earlier_path(settings, slot))
        return
    make_folder(copy.parent)
    unfinished = copy.with_suffix(".unfinished")
    unfinished.write_bytes(found)
    unfinished.replace(copy)


def restore_copy(settings: Settings, slot: str, environ: Mapping[str, str], *, succeeded: bool) -> str:
    """Restore a slot's device configuration after a run, if the run has left it truncated; say in words what was done.

    The file is truncated if it cannot be read, or lacks a value that the copy from before the run has: sodetlib never
    removes one. A script that ``succeeded`` may have removed one.
    """
    copy = copy_path(settings, slot)
    try:
        device = slot_files(slot, environ).device
    except ConfigError:
        return ""
    kept, found = _read(copy), _read(device)
    keys, keys_before = _keys(found or b""), _keys(kept or b"")
    if kept is None or keys_before is None or (keys is not None and (succeeded or keys >= keys_before)):
        return ""
    broken = copy.with_suffix(".truncated.yml")
    try:
        broken.write_bytes(found or b"")
        device.write_bytes(kept)  # in place, as sodetlib does: the file may be a mount, or belong to somebody else
    except OSError as error:
        return f"{device} was left half-written, and could not be restored ({error}): run `cp {copy} {device}`"
    return (
        f"the device configuration {device} was left half-written; its copy from before the run was restored, without "
        f"the run's changes ({broken} is what was left)"
    )


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _keys(text: bytes) -> Keys | None:
    """Return the names of all values in a device configuration; None if it is not complete."""
    try:
        table = parse_table(text)
    except ValueError:
        return None
    if table is None or not all(isinstance(table.get(name), dict) for name in SECTIONS):
        return None
    return {(section, str(key)) for section in SECTIONS[:2] for key in table[section]} | set(_band_keys(table["bands"]))


def _band_keys(bands: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    """Yield the values of each band. sodetlib reads ``Band[0]`` or ``AMC[0]``, and writes ``AMC[0]``, for 0 to 3."""
    for name, values in bands.items():
        kind, _, number = str(name).lower().rstrip("]").partition("[")
        if not isinstance(values, dict) or not number.isdecimal():
            continue
        size = _BANDS_PER_AMC if kind == "amc" else 1
        for band in range(int(number) * size, (int(number) + 1) * size):
            yield from ((f"band {band}", str(key)) for key in values)
