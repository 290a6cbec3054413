"""The files that the workflow must produce."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from smurfq.core.session import SessionRecord
from smurfq.site.demo.pictures import DRAWN, g3_files, missing, pictures

SID = 1795357300


@pytest.fixture
def records(tmp_path: Path) -> dict[str, SessionRecord]:
    """The records of operations that left all they should, with their files."""
    found = {}
    for operation in (*DRAWN, "stream"):
        record = SessionRecord(session_id="id", op_name=operation, complete=True, simulated=True)
        for name in DRAWN.get(operation, ()):
            path = tmp_path / f"1795357200_{name}.png"
            path.write_bytes(b"png")
            record.files.append({"path": str(path), "plot": True})
        record.files.append({"path": str(tmp_path / "mask.txt"), "plot": False})
        found[operation] = record
    found["stream"].data["sid"] = SID
    for number in (1, 0):
        file = tmp_path / "timestreams" / "17953" / "crate1slot2" / f"{SID}_{number:03}.g3"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"g3")
    return found


def test_all_that_should_be_there_is(records: dict[str, SessionRecord], tmp_path: Path) -> None:
    assert missing(records, tmp_path / "timestreams") == []
    assert [path.name for path in pictures(records["take_iv"])] == ["1795357200_iv_rfracs.png", "1795357200_iv_rns.png"]
    assert [path.name for path in g3_files(records["stream"], tmp_path)] == [f"{SID}_000.g3", f"{SID}_001.g3"]


def test_missing_pictures_are_reported(records: dict[str, SessionRecord], tmp_path: Path) -> None:
    pictures(records["take_iv"])[1].unlink()
    (found,) = missing(records, tmp_path / "timestreams")
    assert found == "take_iv made no picture iv_rns.png"


def test_a_stream_without_its_file_is_reported(records: dict[str, SessionRecord], tmp_path: Path) -> None:
    records["stream"].data["sid"] = SID + 1
    (found,) = missing(records, tmp_path / "timestreams")
    assert f"the stream {SID + 1} wrote no g3 file" in found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"simulated": False}, "does not say that its slot is simulated"),
        ({"lost": 3}, "3 messages of take_noise were lost"),
        ({"complete": False}, "complete=False"),
    ],
)
def test_a_record_that_is_not_as_it_should_be_is_reported(
    records: dict[str, SessionRecord], tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    for name, value in change.items():
        setattr(records["take_noise"], name, value)
    (found,) = missing(records, tmp_path / "timestreams")
    assert said in found
