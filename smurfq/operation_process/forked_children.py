"""Ends the children that an operation forks before they can act as the operation itself.

``if os.fork() == 0: sys.exit(0)`` returns from the script in two processes. Only the operation's own process may go on
from there. A child exits with the exit code that ``python`` would give it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator
from typing import NoReturn

from smurfq.operation_process.exit_code import exit_code
from smurfq.private_api.interpreter import run_exit_functions

_exit = os._exit  # a script may replace that of the module


@contextlib.contextmanager
def children_end_here() -> Iterator[None]:
    """Within the block, each child that the process forks exits instead of leaving the block."""
    owner = os.getpid()
    try:
        yield
    except BaseException as error:
        if os.getpid() != owner:
            _end_child(error)
        raise
    if os.getpid() != owner:
        _end_child(None)


def _end_child(error: BaseException | None) -> NoReturn:
    """Exit as ``python`` does, even if the exit functions raise."""
    code = 1
    try:
        code = _code_and_report(error)
        run_exit_functions()
        flush_output()
    finally:
        _exit(code)


def _code_and_report(error: BaseException | None) -> int:
    """Return the exit code, and print what ``python`` would print."""
    if error is None:
        return 0
    if not isinstance(error, SystemExit):
        traceback.print_exception(error)
        return 1
    if error.code is not None and not isinstance(error.code, int):
        print(error.code, file=sys.stderr)
    return exit_code(error)


def flush_output() -> None:
    """Flush stdout and stderr, even if a script has replaced them by broken objects."""
    for name in ("stdout", "stderr"):
        with contextlib.suppress(BaseException):
            getattr(sys, name).flush()
