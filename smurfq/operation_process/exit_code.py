"""The exit codes of scripts and workflows: those of ``python``, with one rule for success."""

from __future__ import annotations

import sys

from smurfq.errors import OperationFailedError

DIED = 70  # the exit code of an operation's process that could not send its result


def exit_code(end: SystemExit) -> int:
    """Return the exit code that ``python`` gives to a process that ends with this exception."""
    code = end.code
    if code is None:
        return 0
    if not isinstance(code, int):
        return 1
    return code & 0xFF if -(2**63) <= code < 2**63 else 0xFF


def check_exit(what: str, end: SystemExit) -> None:
    """Return if a script or workflow ended with ``sys.exit()``, ``sys.exit(None)`` or ``sys.exit(0)``.

    Raises
    ------
    OperationFailedError
        It ended with another number, or with an object, which is printed.
    """
    code = end.code
    if code is None or (isinstance(code, int) and code == 0):
        return
    if isinstance(code, int):
        raise OperationFailedError(f"{what} ended with exit code {code}", script=what, exit_code=code) from end
    print(code, file=sys.stderr)
    raise OperationFailedError(
        f"{what} ended with exit code 1: {code}", script=what, exit_code=1, text=str(code)
    ) from end
