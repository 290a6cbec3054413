"""Finds the stream id of each slot: from sys_config.yml if this process can read it, else from the site file.

A slot of which neither file gives the stream id has its place as its stream id, until its worker reports another one
(``store/slot_names.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smurfq.config.sections import Crate
from smurfq.config.settings import Settings
from smurfq.core.slot import STREAM_ID_RULE, SlotId, is_stream_id
from smurfq.errors import ConfigError

SYS_CONFIG = "sys_config.yml"
_FOLDER_VARIABLES = ("SMURF_CONFIG_DIR", "OCS_CONFIG_DIR")  # in sodetlib's order


def config_dir(settings: Settings, environ: Mapping[str, str]) -> str | None:
    """Return the folder of sys_config.yml: the first of sodetlib's variables that is set, else ``smurf.config_dir``."""
    for name in _FOLDER_VARIABLES:
        if name in environ:
            return environ[name]
    return str(settings.smurf.config_dir) if settings.smurf.config_dir is not None else None


def with_stream_ids(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """Return ``settings`` with the stream ids that this process knows in their crates.

    Simulated slots without a stream id in the site file get one, and their sys_config.yml is written from it.
    """
    if settings.simulated:
        found = {str(slot): slot.simulated_stream_id for slot in map(SlotId.parse, settings.slots)}
        found |= given(settings)
    else:
        found = in_sys_config(config_dir(settings, environ), settings)
    return settings.model_copy(update={"crates": tuple(_merged(crate, found) for crate in settings.crates)})


def given(settings: Settings) -> dict[str, str]:
    """Return the stream ids in the crates of ``settings``, by place."""
    return {
        str(SlotId(crate.id, slot)): stream_id
        for crate in settings.crates
        for slot, stream_id in crate.stream_ids.items()
    }


def in_sys_config(folder: str | None, settings: Settings) -> dict[str, str]:
    """Return the stream ids in the sys_config.yml of ``folder``, by place; none if the file cannot be read.

    An operation and `smurfq doctor` report a file that is wrong. Other commands work without it: they may be needed to
    turn a card off.
    """
    content = read_sys_config(Path(folder) / SYS_CONFIG) if folder else None
    if content is None:
        return {}
    crate, slots = crate_of(content, settings), content.get("slots")
    found = {}
    for slot in map(SlotId.parse, settings.slots):
        entry = slots.get(f"SLOT[{slot.slot}]") if isinstance(slots, dict) and slot.crate == crate else None
        stream_id = entry.get("stream_id") if isinstance(entry, dict) else None
        if is_stream_id(stream_id):
            found[str(slot)] = str(stream_id)
    return found


def crate_of(content: Mapping[str, Any], settings: Settings) -> int | None:
    """Return the crate of a sys_config.yml. A file without ``crate_id`` is for the only crate of the site."""
    only = settings.crates[0].id if len({crate.id for crate in settings.crates}) == 1 else None
    crate = content.get("crate_id", only)
    return crate if isinstance(crate, int) else None


def read_sys_config(path: Path) -> dict[str, Any] | None:
    """Return the table in a sys_config.yml; None if it cannot be read here."""
    try:
        text = path.read_text()
    except (OSError, ValueError):
        return None
    try:
        import yaml  # noqa: PLC0415 - comes with the extras `slot` and `sim`, and is slow to load
    except ImportError:
        return None
    try:
        content = yaml.safe_load(text)
    except (ValueError, RecursionError, yaml.YAMLError):
        return None
    return content if isinstance(content, dict) else None


def reject_ambiguous(settings: Settings, origin: str) -> None:
    """Check that each name belongs to one slot.

    Raises
    ------
    ConfigError
        A stream id is malformed, belongs to a slot that the site does not have or to two slots, or is the place of
        another slot.
    """
    for slot, stream_id in given(settings).items():
        key = f"stream_ids of crate {SlotId.parse(slot).crate} in {origin}"
        if slot not in settings.slots:
            raise ConfigError(f"{key} names {slot}, which is not one of its slots; correct either", key="crates")
        if not is_stream_id(stream_id):
            raise ConfigError(f"{key}: that of {slot} must be of {STREAM_ID_RULE}; got {stream_id!r}", key="crates")
    owners: dict[str, str] = {}
    for slot, stream_id in settings.stream_ids.items():
        if (other := owners.setdefault(stream_id, slot)) != slot:
            raise ConfigError(
                f"{other} and {slot} have the same stream id {stream_id!r} in {origin} or {SYS_CONFIG}; give each its "
                "own",
                key="crates",
            )
        own = SlotId.parse(slot)
        for each in map(SlotId.parse, settings.slots):
            if each != own and stream_id in (str(each), each.older_id):
                raise ConfigError(
                    f"the stream id of {slot} in {origin} or {SYS_CONFIG} is {stream_id!r}, which is the place of "
                    "another slot; messages and submissions would be mixed up. Correct it",
                    key="crates",
                )


def _merged(crate: Crate, found: Mapping[str, str]) -> Crate:
    own = {slot: found[place] for slot in crate.slots if (place := str(SlotId(crate.id, slot))) in found}
    return crate.model_copy(update={"stream_ids": {**crate.stream_ids, **own}}) if own else crate
