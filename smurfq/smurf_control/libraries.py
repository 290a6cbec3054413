"""Imports pysmurf, sodetlib and pyepics before any fork, and reports their versions."""

from __future__ import annotations

import importlib
import os
import platform
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from smurfq import __version__
from smurfq.errors import ForkSafetyError, StartError

# In this order: so3g brings its own spt3g, which must be the one that is found.
_MODULES: Final = (
    "matplotlib.pyplot",
    "so3g",
    "epics",
    "pysmurf.client",
    "sodetlib",
    "sodetlib.operations.bias_dets",
    "sodetlib.operations.bias_steps",
    "sodetlib.operations.bias_wave",
    "sodetlib.operations.iv",
    "sodetlib.operations.tracking",
    "sodetlib.operations.uxm_relock",
    "sodetlib.operations.uxm_setup",
)
_DISTRIBUTIONS: Final = ("sodetlib", "pysmurf-slac", "sotodlib", "so3g", "pyepics", "numpy", "matplotlib")


def preload() -> dict[str, str]:
    """Import all that operations need, ahead of any fork, and return the versions.

    Raises
    ------
    StartError
        One of the libraries is not installed, or does not import.
    ForkSafetyError
        Channel Access has been initialised: forked processes would read stale values.
    """
    os.environ.setdefault("MPLBACKEND", "Agg")
    for module in _MODULES:
        _import(module)
    assert_no_channel_access()
    return versions()


def versions() -> dict[str, str]:
    """The versions of smurfq, Python and the libraries that drive the card, those that are installed."""
    found = {"smurfq": __version__, "python": platform.python_version()}
    for distribution in _DISTRIBUTIONS:
        try:
            found[distribution] = metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return found


def assert_no_channel_access() -> None:
    """Return, if this process has not initialised Channel Access.

    Raises
    ------
    ForkSafetyError
        It has.
    """
    if "epics.ca" not in sys.modules:
        return
    if _import("epics.ca").libca is not None:
        raise ForkSafetyError(
            f"process {os.getpid()}, from which operations are forked, has initialised Channel Access: "
            "they would read stale values or hang. Nothing may touch a PV before the fork; restart the worker"
        )


def sodetlib_function(path: str) -> Callable[..., Any]:
    """The function of sodetlib at ``path``, e.g. ``operations.iv.take_iv``."""
    module, _, name = f"sodetlib.{path}".rpartition(".")
    function: Callable[..., Any] = getattr(_import(module), name)
    return function


def _import(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as cause:
        raise StartError(
            f"cannot import {module}: {cause}; operations on a card need pysmurf and sodetlib: "
            "pip install 'smurfq[slot]'"
        ) from cause


def edited_since(moment: float) -> list[str]:
    """The files of pysmurf and sodetlib that were changed after ``moment`` (s since 1970), loaded or not.

    People mount a development copy and edit it; a worker that has loaded it goes on with what it loaded.
    """
    found = []
    for package in ("pysmurf", "sodetlib"):
        module = sys.modules.get(package)
        for folder in getattr(module, "__path__", ()):
            found += [str(path) for path in Path(folder).rglob("*.py") if path.stat().st_mtime > moment]
    return sorted(found)
