"""A register, cryocard or streamer that hangs is named; all other results and errors are passed on unchanged."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from smurfq.config import Settings
from smurfq.config.sections import Limits
from smurfq.errors import OperationFailedError, OtherSlotError
from smurfq.smurf_control.register_access import check_access
from smurfq.smurf_control.registers import OPEN_G3STREAM, SESSION_ID

SLOT = "crate1slot2"
ROOT = "smurf_server_s2:"


def raising(error: BaseException) -> Any:
    def call(*_args: Any, **_kwargs: Any) -> None:
        raise error

    return call


def checked(
    get: Any = lambda *_, **__: 1, put: Any = lambda *_, **__: 1, read: Any = lambda *_, **__: 1
) -> tuple[Any, list[str]]:
    """An object whose access to registers is checked, and the messages of its run."""
    control = SimpleNamespace(_caget=get, _caput=put, C=SimpleNamespace(do_read=read))
    messages: list[str] = []
    settings = Settings(limits=Limits(close_stream_s=1e-9))  # any time is too long
    session: Any = SimpleNamespace(settings=settings, slot=SLOT, add_message=messages.append)
    check_access(control, session)
    return control, messages


def test_a_register_that_does_not_answer_is_named() -> None:
    control, _ = checked(get=raising(RuntimeError("no value")))
    with pytest.raises(OperationFailedError, match="_s2:X of crate1slot2 does not answer: no value"):
        control._caget(ROOT + "X")


def test_a_register_of_another_slot_is_reported_as_such() -> None:
    control, _ = checked(get=raising(OtherSlotError("not yours", slot=SLOT, server="smurf_server_s3")))
    with pytest.raises(OtherSlotError, match="not yours"):
        control._caget("smurf_server_s3:X")


def test_arguments_and_values_are_passed_on() -> None:
    control, messages = checked(
        get=lambda *args, **kwargs: (args, kwargs),
        put=lambda *args, **kwargs: (args, kwargs),
        read=lambda *args, **kwargs: (args, kwargs),
    )
    assert control._caget("x", 1, timeout=2) == (("x", 1), {"timeout": 2})
    assert control._caput("x", 1, 2, timeout=3) == (("x", 1, 2), {"timeout": 3})
    assert control.C.do_read(1, b=2) == ((1,), {"b": 2})
    assert messages == []


def test_a_put_that_is_not_confirmed_is_a_message() -> None:
    control, messages = checked()
    control._caput("x", 1, timeout=0.0)
    assert messages == ["WARNING: register x did not confirm a put within 0 s"]


def test_a_cryocard_that_does_not_answer_is_named_and_other_errors_stay() -> None:
    control, _ = checked(read=raising(Exception("Failed to read address 5")))
    with pytest.raises(OperationFailedError, match=r"cryocard of crate1slot2 does not answer \(register 0xA\)"):
        control.C.do_read(10)
    control, _ = checked(read=raising(IndexError(7)))
    with pytest.raises(IndexError):
        control.C.do_read(10)


def test_a_session_that_stays_open_after_its_close_is_given_up_and_not_before() -> None:
    control, _ = checked(get=lambda *_, **__: 1_700_000_000)
    control._caput(ROOT + OPEN_G3STREAM, 1)
    assert control._caget(ROOT + SESSION_ID) == 1_700_000_000
    control._caput(ROOT + OPEN_G3STREAM, 0)
    with pytest.raises(OperationFailedError, match="told to close session 1700000000 and has not done so"):
        control._caget(ROOT + SESSION_ID)


def test_a_session_that_is_opened_again_counts_anew() -> None:
    control, _ = checked(get=lambda *_, **__: 1_700_000_000)
    control._caput(ROOT + OPEN_G3STREAM, 0)
    control._caput(ROOT + OPEN_G3STREAM, 1)
    assert control._caget(ROOT + SESSION_ID) == 1_700_000_000
