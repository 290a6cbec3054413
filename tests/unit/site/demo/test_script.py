"""The criteria for success of the demo's control script."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from smurfq.core.session import SessionRecord
from smurfq.site.demo import script


@pytest.fixture
def record(tmp_path: Path) -> SessionRecord:
    """The record of a run that went as it should."""
    datafile = tmp_path / "1.dat"
    datafile.touch()
    return SessionRecord(
        session_id="id",
        op_name="run",
        slot="crate1slot2",
        status="done",
        outcome="succeeded",
        messages=[[1.0, text] for text in script.MESSAGES],
        data={"active_channels": [0, 1, 2, 3, 4], "datafile": str(datafile)},
        files=[{"path": str(datafile)}],
        complete=True,
    )


def test_a_run_as_it_should_be_has_no_problems(record: SessionRecord) -> None:
    assert script.problems(record) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"outcome": "failed", "error": {"message": "no such card"}}, "the run failed: no such card"),
        ({"messages": [[1.0, "Starting data stream"]]}, "'Data stream is closed' did not arrive"),
        ({"data": {}}, "active_channels is None"),
        ({"data": {"active_channels": [0, 1, 2, 3, 4], "datafile": "/no/such"}}, "which is not a file"),
        ({"files": []}, "not among the record's files"),
        ({"lost": 2}, "2 messages were lost"),
        ({"complete": False}, "complete=False"),
    ],
)
def test_every_other_result_is_reported(record: SessionRecord, change: dict[str, Any], said: str) -> None:
    for name, value in change.items():
        setattr(record, name, value)
    assert any(said in problem for problem in script.problems(record))
