"""Checks that the result file of an earlier operation exists, which sodetlib notes in the device configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from smurfq.errors import OperationFailedError

_NOTED = {"take_iv": ("iv_file", "IV"), "take_bgmap": ("bgmap_file", "bias group map")}


def check_earlier(op_name: str, slot: str, config: Any, needed: str) -> None:
    """Return if the operation ``needed`` was run on the slot and its file exists.

    Raises
    ------
    OperationFailedError
        The operation was not run, or its file is gone.
    """
    key, what = _NOTED[needed]
    path = config.dev.exp.get(key)
    if path and Path(path).is_file():
        return
    missing = f"its {what} file {path} is gone" if path else "it has none"
    raise OperationFailedError(
        f"{op_name} goes by the last {what} of {slot}, and {missing}; run {needed} first", slot=slot, needs=needed
    )
