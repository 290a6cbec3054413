"""Writes the simulator's state to `<folder>/status.json`: its process, address, slots and faults.

`smurfq up` waits for this file, and `smurfq sim fault` reads the active faults from it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from smurfq.core.process_id import ProcessId
from smurfq.sim.faults import Faults
from smurfq.sim.options import Options

_NAME: Final = "status.json"


def tell(options: Options, faults: Mapping[str, Faults], told: str) -> str:
    """Return the current state, and write it unless it equals ``told``."""
    state = {
        "simulated": True,
        "pid": os.getpid(),
        "who": ProcessId.of(os.getpid()),
        "address": options.address,
        "config_dir": str(options.folders.config),
        "slots": {slot: {"faults": found.to_dict()} for slot, found in faults.items()},
    }
    text = json.dumps(state, indent=1)
    if text != told:
        unfinished = options.folder / f"{_NAME}.new"
        unfinished.write_text(text)
        unfinished.replace(options.folder / _NAME)
    return text


def read(folder: Path) -> dict[str, Any] | None:
    """Return the state that a folder's simulator last wrote; None if there is none or its process has ended."""
    try:
        found: dict[str, Any] = json.loads((folder / _NAME).read_text())
    except (OSError, ValueError):
        return None
    who = ProcessId.parse(found.get("who"))
    return found if who is not None and who.alive else None


def forget(folder: Path) -> None:
    """Remove the state file when the simulator ends."""
    (folder / _NAME).unlink(missing_ok=True)
