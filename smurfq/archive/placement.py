"""Decides where a published file goes in the archive, and whether its local copy may be deleted.

The rules are those of socs's PysmurfMonitor, so that an archive continues under the same paths. Messages that could
place a file outside the archive's folder are rejected.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePath
from typing import Any, Final, NamedTuple

from smurfq.core.publication import file_path
from smurfq.core.slot import publisher_id
from smurfq.errors import MessageError
from smurfq.store.archive_list import FileMessage

SMURF: Final = "smurf"
TIMESTREAMS: Final = "timestreams"
_OF_STATE_LANE = publisher_id("", "state")
_SEMI_PERMANENT = ("iv", "channel_assignment", "tune")  # later operations read these files
_DAY_DIGITS = 5


class Placement(NamedTuple):
    """A file's place in the archive. ``deletable``: SupRsync may delete the local copy later."""

    local_path: str
    remote_path: str
    archive: str
    deletable: bool


def place(message: FileMessage, smurf_data_dir: Path) -> Placement:
    """Return the place of the file that a message announces.

    Raises
    ------
    MessageError
        The payload does not say what the place depends on, or names an archive that does not exist.
    """
    path = local_path(message)
    archive = message.payload.get("archive_name", SMURF)
    if archive == SMURF:
        return Placement(path, _smurf_path(message, path), archive, _is_deletable(path, smurf_data_dir))
    if archive == TIMESTREAMS:
        return Placement(path, "/".join(os.path.normpath(path).strip("/").split("/")[-3:]), archive, deletable=True)
    raise MessageError(f"archive_name is {archive!r}; the archives are {SMURF!r} and {TIMESTREAMS!r}")


def local_path(message: FileMessage) -> str:
    """Return the path of the file on this machine. ``np.save`` adds .npy, also if the message lacks it.

    Raises
    ------
    MessageError
        The payload has no absolute path.
    """
    path = file_path(message.payload)
    if path is None or not path.startswith("/") or "\0" in path or not isinstance(message.payload, dict):
        given = message.payload.get("path") if isinstance(message.payload, dict) else message.payload
        raise MessageError(f"expected the absolute path of a file, got {given!r}")
    return path if message.payload.get("format") != "npy" or path.endswith(".npy") else f"{path}.npy"


def _smurf_path(message: FileMessage, path: str) -> str:
    payload: dict[str, Any] = message.payload
    if missing := [name for name in ("timestamp", "action_ts", "action", "plot") if name not in payload]:
        raise MessageError(f"the message of {path} has no {', '.join(missing)}, which pysmurf's register_file gives")
    parts = (
        str(payload["timestamp"])[:_DAY_DIGITS],
        message.publisher.removesuffix(_OF_STATE_LANE),
        f"{payload['action_ts']}_{payload['action']}",
        "plots" if payload["plot"] else "outputs",
        os.path.basename(path),  # noqa: PTH119 - pathlib would drop a final slash
    )
    if unsafe := [part for part in parts if part in ("", ".", "..") or "/" in part or "\0" in part]:
        raise MessageError(f"{unsafe[0]!r} cannot be part of the path of {path} in the archive")
    return "/".join(parts)


def _is_deletable(path: str, smurf_data_dir: Path) -> bool:
    """Return whether a file is in a folder named by a time, and is not one that later operations read."""
    below = PurePath(os.path.normpath(path))
    if not below.is_relative_to(smurf_data_dir):
        return False
    inside = below.relative_to(smurf_data_dir)
    return (
        inside.parts[:1] != () and inside.parts[0].isdigit() and not any(one in str(inside) for one in _SEMI_PERMANENT)
    )
