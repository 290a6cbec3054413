"""Names the installed versions of pysmurf and numpy with which a card cannot be driven, or not completely.

docs/reference/versions.md lists the versions that are known to work.
"""

from __future__ import annotations

from importlib import metadata
from typing import Final

from smurfq.errors import StartError

PYSMURF: Final = ("pysmurf-slac", "pysmurf")  # pysmurf's name on the registry, and in copies of its repository
_WITHOUT_CHANNEL_ACCESS: Final = 11
_NUMPY_WITHOUT_TOSTRING: Final = (2, 3)
WITHOUT_CHANNEL_ACCESS: Final = (
    f"from version {_WITHOUT_CHANNEL_ACCESS} on, pysmurf reaches a card through rogue's VirtualClient and not by "
    "Channel Access, which smurfq needs to make a card safe"
)
INSTALL: Final = "pip install 'smurfq[slot]' installs the versions that work (docs/reference/versions.md)"


def require_channel_access() -> None:
    """Check that the installed pysmurf, if any, reaches its card by Channel Access.

    Raises
    ------
    StartError
        It is pysmurf 11 or later.
    """
    if problem := without_channel_access():
        raise StartError(f"{problem}; {INSTALL}")


def without_channel_access() -> str:
    """Return why the installed pysmurf cannot be used, or an empty string."""
    for name in PYSMURF:
        version = _version(name)
        if version is not None and _numbers(version)[0] >= _WITHOUT_CHANNEL_ACCESS:
            return f"{name} {version} is installed: {WITHOUT_CHANNEL_ACCESS}"
    return ""


def installed_pysmurf() -> str | None:
    """Return the name under which pysmurf is installed; None if it is not."""
    return next((name for name in PYSMURF if _version(name) is not None), None)


def numpy_problem() -> str:
    """Return what does not work with the installed numpy, or an empty string."""
    version = _version("numpy")
    if version is None or installed_pysmurf() is None or _numbers(version)[:2] < _NUMPY_WITHOUT_TOSTRING:
        return ""
    return f"numpy {version} is installed: S.stream_data_off(register_file=True) of pysmurf needs a numpy below 2.3"


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _numbers(version: str) -> tuple[int, ...]:
    numbers = [int(part) for part in version.split(".") if part.isdecimal()]
    return tuple(numbers or [0])
