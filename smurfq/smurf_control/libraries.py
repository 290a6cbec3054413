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
from smurfq.smurf_control.known_versions import INSTALL, PYSMURF, WITHOUT_CHANNEL_ACCESS

# so3g must be imported first: it contains its own spt3g, which must be used.
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
_COMMANDS: Final = "pysmurf.client.command.smurf_command"
_DISTRIBUTIONS: Final = ("sodetlib", *PYSMURF, "sotodlib", "so3g", "pyepics", "numpy", "matplotlib")


def preload() -> dict[str, str]:
    """Import all libraries that operations need, before any fork, and return the versions.

    Raises
    ------
    StartError
        A library is not installed, cannot be imported, or does not use Channel Access.
    ForkSafetyError
        Channel Access has been initialized: forked processes would read stale values.
    """
    os.environ.setdefault("MPLBACKEND", "Agg")
    for module in _MODULES:
        _import(module)
    # A copy of pysmurf's repository may be on the path, whose version is not known.
    if not hasattr(_import(_COMMANDS), "epics"):
        raise StartError(f"{_import(_COMMANDS).__file__} does not use pyepics: {WITHOUT_CHANNEL_ACCESS}; {INSTALL}")
    assert_no_channel_access()
    return versions()


def versions() -> dict[str, str]:
    """Return the versions of smurfq, Python and the installed libraries that drive the card."""
    found = {"smurfq": __version__, "python": platform.python_version()}
    for distribution in _DISTRIBUTIONS:
        try:
            found[distribution] = metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return found


def assert_no_channel_access() -> None:
    """Check that this process has not initialized Channel Access.

    Raises
    ------
    ForkSafetyError
        The process has initialized Channel Access.
    """
    if "epics.ca" not in sys.modules:
        return
    if _import("epics.ca").libca is not None:
        raise ForkSafetyError(
            f"process {os.getpid()}, from which operations are forked, has initialized Channel Access: "
            "operations would read stale values or hang. No code may use a PV before the fork; restart the worker"
        )


def sodetlib_function(path: str) -> Callable[..., Any]:
    """Return the function of sodetlib at ``path``, for example ``operations.iv.take_iv``."""
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
    """Return the files of pysmurf and sodetlib that were changed after ``moment`` (s since 1970), loaded or not.

    If somebody edits a mounted development copy, a running worker still uses the code that it has loaded.
    """
    found = []
    for package in ("pysmurf", "sodetlib"):
        module = sys.modules.get(package)
        for folder in getattr(module, "__path__", ()):
            found += [str(path) for path in Path(folder).rglob("*.py") if path.stat().st_mtime > moment]
    return sorted(found)
