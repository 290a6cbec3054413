"""Sets the folders that sodetlib and pysmurf hard-code, from the settings."""

from __future__ import annotations

import types
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

from smurfq.config import Settings
from smurfq.errors import StartError

_TIMESTREAMS: Final = "/data/so/timestreams"
_SMURF_DATA: Final = "/data/smurf_data"

# The functions of sodetlib 0.6.8 and pysmurf 10.3.4 that contain these folders, as default arguments or in the body.
_WHERE: Final = (
    ("sodetlib.stream", "get_session_files"),
    ("sodetlib.stream", "load_session_status"),
    ("sodetlib.stream", "load_session"),
    ("sodetlib.operations.bias_steps", "BiasStepAnalysis.run_analysis"),
    ("sodetlib.operations.bias_steps", "BiasStepAnalysis._load_am"),
    ("sodetlib.operations.bias_wave", "BiasWaveAnalysis.run_analysis"),
    ("sodetlib.operations.bias_wave", "BiasWaveAnalysis._load_am"),
    ("pysmurf.client.base.smurf_config", "SmurfConfig.validate_config"),
)

_originals: dict[str, tuple[types.CodeType, tuple[Any, ...] | None]] = {}


def apply_paths(settings: Settings) -> None:
    """Make sodetlib and pysmurf use the folders of ``settings``, in this process and those forked from it.

    Raises
    ------
    StartError
        A function no longer contains the folders: smurfq does not know this version of the library.
    """
    folders = {
        _TIMESTREAMS: str(settings.smurf.timestreams_dir),
        _SMURF_DATA: str(settings.smurf.smurf_data_dir),
    }
    for module, path in _WHERE:
        _rewrite(f"{module}.{path}", _function(module, path), folders)


def _function(module: str, path: str) -> types.FunctionType:
    found: Any = import_module(module)
    for name in path.split("."):
        found = getattr(found, name, None)
    if not isinstance(found, types.FunctionType):
        raise StartError(f"{module} has no function {path}; smurfq knows sodetlib 0.6.8 with pysmurf-slac 10.3.4")
    return found


def _rewrite(name: str, function: types.FunctionType, folders: Mapping[str, str]) -> None:
    code, defaults = _originals.setdefault(name, (function.__code__, function.__defaults__))
    if not _mentions((code, defaults), folders):
        raise StartError(
            f"{name} no longer contains {' or '.join(folders)}; it would write outside the folders of "
            "the settings. smurfq knows sodetlib 0.6.8 with pysmurf-slac 10.3.4"
        )
    function.__code__, function.__defaults__ = _replaced(code, folders), _replaced(defaults, folders)


def _mentions(value: Any, folders: Mapping[str, str]) -> bool:
    if isinstance(value, types.CodeType):
        value = value.co_consts
    if isinstance(value, tuple):
        return any(_mentions(item, folders) for item in value)
    return isinstance(value, str) and any(value == old or value.startswith(f"{old}/") for old in folders)


def _replaced(value: Any, folders: Mapping[str, str]) -> Any:
    """Return ``value`` with the hard-coded folders replaced."""
    if isinstance(value, str):
        for old, new in folders.items():
            if value == old or value.startswith(old + "/"):
                return new + value.removeprefix(old)
        return value
    if isinstance(value, tuple):
        return tuple(_replaced(item, folders) for item in value)
    if isinstance(value, types.CodeType):
        return value.replace(co_consts=_replaced(value.co_consts, folders))
    return value
