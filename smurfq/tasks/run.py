"""`run`: a control script, executed in the operation's own process."""

from __future__ import annotations

import sys
import traceback
import types
from collections.abc import Sequence
from pathlib import Path

from smurfq.core.scripts import read_script
from smurfq.errors import OperationAbortedError, OperationFailedError, OtherSlotError
from smurfq.operation_process.exit_code import check_exit
from smurfq.operation_process.forked_children import children_end_here
from smurfq.operation_process.session import Session
from smurfq.pool_child.operation_task import operation
from smurfq.smurf_control import card_is_noted, number_only_what_is_sent, script_connects_ahead

_SODETLIB_ABORT = "OCSAbortError"
_LINES_KEPT = 12


@operation
def run(session: Session, *, script: str, args: Sequence[str], log: bool | str) -> None:
    """Run a control script like ``python -u script args…``, in its own process.

    The script's ``session_data`` and ``session_log`` become the session's data and messages. The runner, which owns the
    process's stdout and stderr, applies ``log``.

    Raises
    ------
    ParameterError
        The script does not lie below one of the site's script folders.
    OperationFailedError
        The script raised, or ended with an exit code other than 0; ``OtherSlotError`` if it tried to open a slot other
        than its own.
    """
    path, source = read_script(script, session.settings.scripts.folders)
    sys.argv = [script, *args]
    sys.path.insert(0, str(path.parent))
    session.stage("script")
    number_only_what_is_sent(session)
    try:
        with card_is_noted(session), script_connects_ahead(session, path), children_end_here():
            _run_as_main(path, source)
    except SystemExit as end:
        check_exit(script, end)
    except (OperationAbortedError, OtherSlotError):
        raise
    except Exception as error:
        raise _failure(script, path, error) from error


def _run_as_main(path: Path, source: bytes) -> None:
    """Run a script's source like ``runpy.run_path``, which would open the file once more."""
    main = types.ModuleType("__main__")
    main.__dict__.update(__file__=str(path), __cached__=None, __spec__=None)
    before = sys.modules.get("__main__")
    sys.modules["__main__"] = main
    try:
        exec(compile(source, str(path), "exec", dont_inherit=True), main.__dict__)
    finally:
        if before is not None:
            sys.modules["__main__"] = before


def _failure(script: str, path: Path, error: Exception) -> OperationAbortedError | OperationFailedError:
    if type(error).__name__ == _SODETLIB_ABORT:  # by name, since this module must not import sodetlib
        return OperationAbortedError(f"{script} ended at one of sodetlib's stop points, as requested")
    lines = _script_traceback(path, error)
    return OperationFailedError(
        f"{script} raised {lines[-1].strip()}",
        script=script,
        exit_code=1,
        traceback="".join(lines[-_LINES_KEPT:]),
    )


def _script_traceback(path: Path, error: Exception) -> list[str]:
    """Return the lines of the traceback from the script on, without the frames of smurfq."""
    frames = traceback.extract_tb(error.__traceback__)
    first = next((number for number, frame in enumerate(frames) if frame.filename == str(path)), 0)
    shown = traceback.TracebackException.from_exception(error)
    shown.stack = traceback.StackSummary.from_list(list(shown.stack)[first:])
    return "".join(shown.format()).splitlines(keepends=True)
