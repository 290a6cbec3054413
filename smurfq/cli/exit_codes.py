"""The exit codes of all `smurfq` commands."""

from __future__ import annotations

from enum import IntEnum

from smurfq.core.session import Outcome, SessionRecord
from smurfq.errors import (
    BridgeUnavailableError,
    ConfigError,
    OperationAbortedError,
    OperationError,
    OperationLostError,
    RecordNotFoundError,
    RequestError,
    SlotError,
    StoreUnavailableError,
    WaitTimeoutError,
)


class ExitCode(IntEnum):
    """The exit codes. click itself also uses 2, for a command line that it cannot parse."""

    SUCCEEDED = 0
    ERROR = 1  # any error without a code of its own
    USAGE = 2  # the command line, a parameter, the settings or the request is wrong; nothing was done
    FAILED = 3  # the operation failed
    ABORTED = 4  # the operation was aborted
    LOST = 5  # the worker that ran the operation is gone
    TIMED_OUT = 6  # the command stopped waiting; the operation continues
    UNAVAILABLE = 7  # Redis or the bridge does not answer
    REJECTED = 8  # the slot is held, locked or busy, or the submission is a duplicate
    NOT_FOUND = 9  # no record has this id, or no site is up here
    INTERRUPTED = 130  # Ctrl-C; a run that was followed continues


_BY_OUTCOME = {
    Outcome.SUCCEEDED: ExitCode.SUCCEEDED,
    Outcome.FAILED: ExitCode.FAILED,
    Outcome.ABORTED: ExitCode.ABORTED,
    Outcome.LOST: ExitCode.LOST,
}
_BY_ERROR: tuple[tuple[type[Exception], ExitCode], ...] = (
    (StoreUnavailableError, ExitCode.UNAVAILABLE),
    (BridgeUnavailableError, ExitCode.UNAVAILABLE),
    (WaitTimeoutError, ExitCode.TIMED_OUT),
    (RecordNotFoundError, ExitCode.NOT_FOUND),
    (OperationAbortedError, ExitCode.ABORTED),
    (OperationLostError, ExitCode.LOST),
    (OperationError, ExitCode.FAILED),
    (SlotError, ExitCode.REJECTED),
    (RequestError, ExitCode.USAGE),
    (ConfigError, ExitCode.USAGE),
)


def of_record(record: SessionRecord) -> ExitCode:
    """Return the exit code for a run that has ended."""
    return _BY_OUTCOME.get(Outcome(record.outcome), ExitCode.ERROR) if record.outcome else ExitCode.ERROR


def of_error(error: Exception) -> ExitCode:
    """Return the exit code for a command that ended with an error of smurfq."""
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), ExitCode.ERROR)
