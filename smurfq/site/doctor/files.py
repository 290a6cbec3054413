"""Checks folders and files of this machine: state, scripts, and sodetlib's configuration."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from smurfq.config import Settings
from smurfq.config.stream_ids import SYS_CONFIG, crate_of
from smurfq.core.private_files import is_open_to_others
from smurfq.core.slot import STREAM_ID_RULE, SlotId, is_stream_id
from smurfq.host.disk_space import is_low, room
from smurfq.operation_process.environment import environment
from smurfq.site.doctor.finding import Examined, Finding, fail, ok, warn


def check(examined: Examined) -> Iterator[Finding]:
    """Check the folders in the settings."""
    state_dir = examined.settings.state_dir.absolute()
    yield _state_dir(state_dir)
    if state_dir.is_dir() and is_open_to_others(state_dir):
        yield warn(
            "state folder's mode",
            f"other users may read {state_dir}: parameters, logs and records are there",
            f"chmod 700 {state_dir}, unless this is intended",
        )
    yield from _data_dirs((examined.settings.smurf.timestreams_dir, examined.settings.smurf.smurf_data_dir))
    yield from _scripts(examined.settings.scripts.folders)
    yield from _config_dir(examined)


def _state_dir(path: Path) -> Finding:
    there = next(folder for folder in (path, *path.parents) if folder.exists())
    if not os.access(there, os.W_OK | os.X_OK) or not there.is_dir():
        return fail("state folder", f"{path} cannot be written to", "give it to smurfq's user, or set SMURFQ_STATE_DIR")
    if is_low(path):
        return warn(
            "state folder", room(path), "free some space; locks, notes, logs and the embedded Valkey's data are there"
        )
    return ok("state folder", room(path))


def _data_dirs(folders: tuple[Path, ...]) -> Iterator[Finding]:
    """Check the folders for the operations' data, if they are on this machine."""
    for folder in folders:
        if folder.is_dir():
            todo = "free some space; operations cannot write there"
            yield warn("data folder", room(folder), todo) if is_low(folder) else ok("data folder", room(folder))


def _scripts(folders: tuple[Path, ...]) -> Iterator[Finding]:
    if not folders:
        yield warn(
            "scripts", "scripts.folders is empty: `run` rejects every script", "set it to the folders of your scripts"
        )
    for folder in folders:
        if not folder.is_dir() or not os.access(folder, os.R_OK | os.X_OK):
            yield fail("scripts", f"{folder} is not a readable folder", "create it, or correct scripts.folders")
        else:
            number = sum(1 for _ in folder.rglob("*.py"))
            yield ok("scripts", f"{folder}: {number} Python files that `run` may run")


def _config_dir(examined: Examined) -> Iterator[Finding]:
    settings = examined.settings
    found = {**examined.environ, **environment(settings, settings.slots[0], "control", examined.environ)}
    folder = found.get("SMURF_CONFIG_DIR") or found.get("OCS_CONFIG_DIR")
    if not folder:
        todo = "set smurf.config_dir to the folder of sys_config.yml"
        yield warn("configuration of the cards", "no folder is set: only scripts and `test` run", todo)
        return
    path = Path(folder) / SYS_CONFIG
    if not path.is_file():
        yield fail(
            "configuration of the cards", f"{path} does not exist", "correct smurf.config_dir (or SMURF_CONFIG_DIR)"
        )
        return
    if importlib.util.find_spec("yaml") is None:
        yield warn("configuration of the cards", f"{path} exists, but was not read", "pip install 'smurfq[slot]'")
        return
    yield from _sys_config(path, found, settings)


def _sys_config(path: Path, environ: Mapping[str, str], settings: Settings) -> Iterator[Finding]:
    import yaml  # noqa: PLC0415 - comes with the extra `slot`

    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        yield fail("configuration of the cards", f"{path} cannot be read: {error}", "correct it")
        return
    content = content if isinstance(content, dict) else {}
    crate = crate_of(content, settings)
    mine = [slot for slot in map(SlotId.parse, settings.slots) if slot.crate == crate]
    if not mine:
        known = ", ".join(settings.slots)
        yield fail(
            "configuration of the cards", f"{path} is for crate {crate}; the site's slots are {known}", "correct either"
        )
    for slot in mine:
        entry = (content.get("slots") or {}).get(f"SLOT[{slot.slot}]")
        yield _slot_entry(path, str(slot), entry, environ)


def _slot_entry(path: Path, slot: str, entry: Any, environ: Mapping[str, str]) -> Finding:
    name = f"configuration of {slot}"
    if not isinstance(entry, dict):
        return fail(
            name, f"{path} does not list SLOT[{SlotId.parse(slot).slot}]", "add it, or remove the slot from the site"
        )
    for key in ("device_config", "pysmurf_config"):
        file = _expanded(str(entry.get(key, "")), environ)
        if not Path(file).is_file():
            return fail(name, f"its {key} {file or '(none)'} does not exist", f"correct {path}")
    if not is_stream_id(entry.get("stream_id")):
        return fail(
            name,
            f"its stream_id in {path} is {entry.get('stream_id')!r}; it must be of {STREAM_ID_RULE}",
            f"set the name under which its smurf server streams, which is {slot} if it was started without one",
        )
    return ok(name, f"{path} lists it, and its files exist")


def _expanded(text: str, environ: Mapping[str, str]) -> str:
    for name, value in environ.items():
        text = text.replace(f"${{{name}}}", value).replace(f"${name}", value)
    return text
