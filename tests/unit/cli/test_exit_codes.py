"""Every end of a command has its own exit code."""

from __future__ import annotations

import inspect

import pytest

from smurfq import errors
from smurfq.cli.exit_codes import ExitCode, of_error, of_record
from smurfq.core.session import Outcome, SessionRecord
from smurfq.errors import SmurfqError

NAMED = {
    "StoreUnavailableError": ExitCode.UNAVAILABLE,
    "BridgeUnavailableError": ExitCode.UNAVAILABLE,
    "WaitTimeoutError": ExitCode.TIMED_OUT,
    "RecordNotFoundError": ExitCode.NOT_FOUND,
    "OperationFailedError": ExitCode.FAILED,
    "OperationDiedError": ExitCode.FAILED,
    "OperationTimeLimitError": ExitCode.FAILED,
    "OperationAbortedError": ExitCode.ABORTED,
    "OperationLostError": ExitCode.LOST,
    "SlotHeldError": ExitCode.REJECTED,
    "SlotBusyError": ExitCode.REJECTED,
    "ParameterError": ExitCode.USAGE,
    "UnknownOperationError": ExitCode.USAGE,
    "UnknownSlotError": ExitCode.USAGE,
    "ConfigError": ExitCode.USAGE,
}
ERRORS = [item for _, item in inspect.getmembers(errors, inspect.isclass) if issubclass(item, SmurfqError)]


def test_each_outcome_has_a_code_of_its_own() -> None:
    codes = [of_record(SessionRecord("id", status="done", outcome=str(outcome))) for outcome in Outcome]
    assert len(set(codes)) == len(Outcome)
    assert of_record(SessionRecord("id", status="done", outcome="succeeded")) == 0


@pytest.mark.parametrize("kind", ERRORS)
def test_no_error_ends_with_success(kind: type[SmurfqError]) -> None:
    code = of_error(kind("m"))
    assert code == NAMED.get(kind.__name__, code)
    assert code not in (ExitCode.SUCCEEDED, ExitCode.INTERRUPTED)


def test_the_named_errors_are_all_there() -> None:
    assert NAMED.keys() <= {kind.__name__ for kind in ERRORS}
