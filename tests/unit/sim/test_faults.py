"""The faults, and the file that requests them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from smurfq.errors import ConfigError, ParameterError
from smurfq.sim import faults
from smurfq.sim import registers as r
from smurfq.sim.faults import MEANINGS, Faults

ASKED: dict[str, Any] = {
    "silent": True,
    "dead_registers": ["stream_tag"],
    "no_cryocard": True,
    "never_closes": True,
    "gaps": 0.25,
    "locked_up": True,
    "stuck_amplifiers": ["hemt1", "50k2"],
    "no_resonators": [0, 7],
    "scans_stall": True,
    "overheated": True,
    "link_errors": True,
    "no_captures": True,
}


def test_every_fault_is_written_and_read_back(tmp_path: Path) -> None:
    assert ASKED.keys() == MEANINGS.keys()
    for name, value in ASKED.items():
        wanted = Faults().with_fault(name, value)
        assert wanted.to_dict() == {name: value}
        faults.write(tmp_path, {"crate1slot2": wanted, "crate1slot3": Faults()})
        assert faults.read(tmp_path) == {"crate1slot2": wanted}
        assert wanted.with_fault(name, False if name != "gaps" else 0) == Faults()


def test_no_file_means_no_faults(tmp_path: Path) -> None:
    assert faults.read(tmp_path) == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gap", True),
        ("gaps", 1.5),
        ("silent", "yes"),
        ("dead_registers", [1]),
        ("no_resonators", [8]),
        ("no_resonators", True),
        ("stuck_amplifiers", ["hemt3"]),
    ],
)
def test_an_invalid_fault_is_rejected(name: str, value: Any) -> None:
    with pytest.raises(ParameterError, match="fault"):
        Faults().with_fault(name, value)


@pytest.mark.parametrize("text", ["{", '{"crate1slot2": {"gap": true}}', "[]", '{"slot2": {}}'])
def test_an_invalid_file_of_faults_is_reported(tmp_path: Path, text: str) -> None:
    (tmp_path / faults.FILE_NAME).write_text(text)
    with pytest.raises(ConfigError, match=r"faults\.json is not a file of faults"):
        faults.read(tmp_path)


def test_a_locked_up_card_still_takes_the_restart_and_the_streams_registers() -> None:
    locked = Faults(locked_up=True)
    assert not locked.answers(r.SLOT_NUMBER)
    assert locked.answers(r.RESTART_LINK)
    assert not Faults(silent=True).answers(r.RESTART_LINK)
    assert not Faults(dead_registers=("AggTime",)).answers(r.STREAM + "AggTime")
    assert Faults(dead_registers=("AggTime",)).answers(r.OPEN_STREAM)
