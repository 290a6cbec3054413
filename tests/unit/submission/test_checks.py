"""A request that no worker could execute is rejected before it is queued."""

from __future__ import annotations

from pathlib import Path

import pytest

from smurfq.config import load
from smurfq.config.slot_names import SlotNames
from smurfq.errors import ParameterError, UnknownSlotError
from smurfq.submission.checks import check_request

SLOTS = SlotNames(load({"SMURFQ_SLOTS": "crate1slot2 crate1slot3"}), lambda: {"crate1slot2": "ufm_mv9"})


def test_a_relative_script_path_is_rejected_with_the_absolute_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/usr")
    params = {"slot": "crate1slot2", "script": "bin/x.py"}
    with pytest.raises(ParameterError, match=r"absolute path.*did you mean /usr/bin/x\.py\?") as caught:
        check_request(SLOTS, "me", "smurfq.run", (), params, {})
    assert caught.value.parameter == "script"


def test_an_absolute_script_path_is_accepted(tmp_path: Path) -> None:
    params = {"slot": "crate1slot2", "script": str(tmp_path / "x.py")}
    assert check_request(SLOTS, "me", "smurfq.run", (), params, {}).params["script"] == params["script"]


def test_a_slot_by_its_stream_id_is_queued_by_its_place() -> None:
    checked = check_request(SLOTS, "me", "smurfq.take_iv", (), {"slot": "ufm_mv9"}, {})
    assert (checked.slot, checked.stream_id) == ("crate1slot2", "ufm_mv9")
    assert check_request(SLOTS, "me", "smurfq.take_iv", (), {"slot": "crate1slot2"}, {}).stream_id is None


def test_the_slots_of_a_workflow_are_given_by_place() -> None:
    params = {"workflow": "observation", "slots": ["ufm_mv9", "crate1slot3"]}
    checked = check_request(SLOTS, "me", "smurfq.workflow", (), params, {})
    assert checked.params["slots"] == ["crate1slot2", "crate1slot3"]


def test_an_unknown_slot_is_rejected_with_both_names_of_the_known_ones() -> None:
    with pytest.raises(UnknownSlotError, match=r"known are crate1slot2 \(ufm_mv9\), crate1slot3"):
        check_request(SLOTS, "me", "smurfq.take_iv", (), {"slot": "ufm_mv8"}, {})
    with pytest.raises(UnknownSlotError, match="one of crate1slot2, crate1slot3"):
        check_request(SLOTS, "me", "smurfq.take_iv", (), {}, {})
