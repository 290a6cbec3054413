"""The abort signal in an operation's process: raised once, and never into the cleaning up of an abort."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator

import pytest

from smurfq.errors import OperationAbortedError
from smurfq.operation_process.abort_signal import ABORT_SIGNAL, AbortSignal, FrameSender


@pytest.fixture
def abort() -> Iterator[None]:
    """The signal's handler, as an operation has it."""
    here, there = socket.socketpair()
    before = signal.signal(ABORT_SIGNAL, FrameSender(here).raise_abort)
    yield
    signal.signal(ABORT_SIGNAL, before)
    here.close()
    there.close()


class OCSAbortError(Exception):
    """As sodetlib's stop points raise it."""


def ask() -> None:
    os.kill(os.getpid(), ABORT_SIGNAL)


def test_the_signal_interrupts_once(abort: None) -> None:
    with pytest.raises(AbortSignal):
        try:
            ask()
        finally:
            ask()  # ignored: it would interrupt the cleaning up


@pytest.mark.parametrize("error", [OCSAbortError, OperationAbortedError])
def test_cleaning_up_after_a_safe_point_is_not_interrupted(abort: None, error: type[Exception]) -> None:
    cleaned = False
    with pytest.raises(error):
        try:
            raise error("asked")
        finally:
            try:
                raise ValueError("of the cleaning up itself")
            except ValueError:
                ask()
            cleaned = True
    assert cleaned


def test_the_handling_of_any_other_error_is_interrupted(abort: None) -> None:
    with pytest.raises(AbortSignal):
        try:
            raise ValueError("the card said no")
        except ValueError:
            ask()
