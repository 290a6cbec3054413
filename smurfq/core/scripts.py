"""Which scripts `run` may run, and where it may log: below a site's folders, links and ``..`` resolved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from smurfq.errors import ParameterError


def check_script(script: str, folders: Sequence[Path]) -> Path:
    """The script's real path.

    Raises
    ------
    ParameterError
        It is not given by an absolute path, is no file, or does not lie below one of ``folders``.
    """
    path = Path(script)
    if not path.is_absolute():
        raise _error(script, "must be an absolute path, since the worker's folder is not yours", folders)
    real = path.resolve()
    if not any(real.is_relative_to(folder.resolve()) for folder in folders):
        where = f" (which is {real})" if real != path else ""
        raise _error(script + where, "does not lie below a folder that scripts may be run from", folders)
    if not real.is_file():
        raise _error(script, "is not a file on the worker's machine", folders)
    return real


def check_log(log: bool | str, folders: Sequence[Path]) -> bool | str:
    """``log`` as `run` takes it; a path is the real one.

    Raises
    ------
    ParameterError
        It is a path that does not lie below one of ``folders``: a task's parameter could overwrite any file.
    """
    if isinstance(log, bool):
        return log
    real = Path(log).resolve()
    if not Path(log).is_absolute() or not any(real.is_relative_to(folder.resolve()) for folder in folders):
        raise ParameterError(
            f"run: log {log} does not lie below a folder that may be logged to; allowed are "
            f"{', '.join(map(str, folders))} (scripts.log_folders in the site file adds to them)",
            operation="run",
            parameter="log",
            got=log,
            allowed=[str(folder) for folder in folders],
        )
    return str(real)


def _error(script: str, why: str, folders: Sequence[Path]) -> ParameterError:
    allowed = ", ".join(map(str, folders)) or "none: set scripts.folders in the site file"
    return ParameterError(
        f"run: script {script} {why}; allowed folders are {allowed}",
        operation="run",
        parameter="script",
        got=script,
        allowed=[str(folder) for folder in folders],
    )
