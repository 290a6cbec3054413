"""Checks the script, the arguments and the log file of `run`."""

from __future__ import annotations

import itertools
import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from smurfq.core.slot import SlotId
from smurfq.errors import ParameterError

_SLOT = re.compile(r"(?:crate0*(\d+)slot)?0*(\d+)", re.ASCII)


def check_absolute(script: Any) -> None:
    """Check that a script's path is absolute, since the worker does not run in the submitter's folder.

    Raises
    ------
    ParameterError
        The path is relative; the message names the absolute path of that file here.
    """
    if script and isinstance(script, str) and not Path(script).is_absolute():
        raise ParameterError(
            f"run: script must be an absolute path on the worker's machine; got {script}; did you mean "
            f"{Path(script).absolute()}?",
            operation="run",
            parameter="script",
            got=script,
        )


def check_script(script: str, folders: Sequence[Path]) -> Path:
    """Return the script's real path.

    Raises
    ------
    ParameterError
        The path is not absolute, is not a file, or does not lie below one of ``folders``.
    """
    check_absolute(script)
    path = Path(script)
    real = _real(path)
    if not any(real.is_relative_to(folder.resolve()) for folder in folders):
        where = f" (which is {real})" if real != path else ""
        raise _error(script + where, "does not lie below a folder that scripts may be run from", folders)
    if not os.path.isfile(real):  # noqa: PTH113 - Path's raises if a name is too long or a link leads to itself
        raise _error(script, "is not a file on the worker's machine", folders)
    return real


def read_script(script: str, folders: Sequence[Path]) -> tuple[Path, bytes]:
    """Return the script's real path and its source.

    Somebody may change a link or a folder of the path at any moment. The checks are therefore made on the opened file:
    its location, and that it is a regular file.

    Raises
    ------
    ParameterError
        As for ``check_script``.
    """
    path = check_script(script, folders)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as cause:
        raise _error(script, f"cannot be read ({cause.strerror})", folders) from cause
    with os.fdopen(descriptor, "rb") as file:
        opened = Path(f"/proc/self/fd/{descriptor}").readlink()
        if not any(opened.is_relative_to(folder.resolve()) for folder in folders):
            raise _error(
                f"{script} (which is {opened})", "does not lie below a folder that scripts may be run from", folders
            )
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _error(script, "is not a file on the worker's machine", folders)
        return opened, file.read()


def check_log(log: bool | str, folders: Sequence[Path]) -> bool | str:
    """Return ``log`` for `run`; a path is replaced by its real path.

    Raises
    ------
    ParameterError
        The path does not lie below one of ``folders``. Otherwise, a task's parameter could overwrite any file.
    """
    if isinstance(log, bool):
        return log
    real = _real(Path(log))
    if not Path(log).is_absolute() or not any(real.is_relative_to(folder.resolve()) for folder in folders):
        raise ParameterError(
            f"run: log {log} does not lie below an allowed folder; allowed are "
            f"{', '.join(map(str, folders))} (scripts.log_folders in the site file adds to them)",
            operation="run",
            parameter="log",
            got=log,
            allowed=[str(folder) for folder in folders],
        )
    return str(real)


def check_arguments(args: Sequence[str], slot: str) -> None:
    """Check that a script's ``--slot`` argument, if there is one, names the slot to which it is submitted.

    sodetlib's ``-N`` and abbreviations of ``--slot`` are not checked, since they may mean something else in a script.

    Raises
    ------
    ParameterError
        The argument names another slot.
    """
    own = SlotId.parse(slot)
    crate, number = str(own.crate), str(own.slot)
    for named in _slot_arguments(args):
        match = _SLOT.fullmatch(named)
        if match is not None and (match[1] or crate, match[2]) != (crate, number):
            raise ParameterError(
                f"run: the script's argument --slot {named} contradicts {slot}, to which it is submitted: "
                "a script can open only its own slot. Remove the argument, or submit to the other slot",
                operation="run",
                parameter="args",
                got=named,
                slot=slot,
            )


def _slot_arguments(args: Sequence[str]) -> Iterator[str]:
    """Yield the values of ``--slot VALUE`` and ``--slot=VALUE`` before ``--``."""
    options = list(itertools.takewhile(lambda word: word != "--", args))
    for word, following in itertools.zip_longest(options, options[1:], fillvalue=""):
        name, equals, value = word.partition("=")
        if name == "--slot":
            yield (value if equals else following).strip()


def _real(path: Path) -> Path:
    """Return ``path`` with links and ``..`` resolved; parts that do not exist are kept."""
    return Path(os.path.realpath(path))


def _error(script: str, why: str, folders: Sequence[Path]) -> ParameterError:
    allowed = ", ".join(map(str, folders)) or "none: set scripts.folders in the site file"
    return ParameterError(
        f"run: script {script} {why}; allowed folders are {allowed}",
        operation="run",
        parameter="script",
        got=script,
        allowed=[str(folder) for folder in folders],
    )
