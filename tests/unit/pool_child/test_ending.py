"""The value that says how an operation's process ended."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from smurfq.pool_child.abort import Stage
from smurfq.pool_child.ending import Ending, result_of_exec

SUCCEEDED = {"k": "result", "ok": True}


@pytest.mark.parametrize(
    ("result", "stage", "died"),
    [
        (SUCCEEDED, Stage.NONE, False),
        (SUCCEEDED, Stage.SIGNALLED, False),
        ({"k": "result", "ok": False}, Stage.ASKED, False),
        (None, Stage.NONE, True),
        (None, Stage.ASKED, True),
        (SUCCEEDED, Stage.KILLED, True),
    ],
)
def test_an_operation_without_a_result_or_that_was_killed_has_died(
    result: dict[str, Any] | None, stage: Stage, died: bool
) -> None:
    assert Ending(result, 0, False, None, stage, False).died is died


def test_a_script_that_execs_a_program_ends_as_that_program_does() -> None:
    assert result_of_exec(0) == SUCCEEDED
    failed = result_of_exec(3)
    assert failed is not None
    assert (failed["ok"], failed["aborted"], failed["fields"]) == (False, False, {"exit_code": 3})
    assert "exit code 3" in failed["message"]
    assert result_of_exec(-signal.SIGKILL) is None
