"""A slot is found by its place or its stream id, from the settings and from the workers' reports."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from smurfq.config import load
from smurfq.config.slot_names import SlotNames
from smurfq.errors import UnknownSlotError


def names(slots: str, reported: Mapping[str, str] | None = None) -> SlotNames:
    return SlotNames(load({"SMURFQ_SLOTS": slots}), lambda: reported or {})


def unread() -> Mapping[str, str]:
    raise AssertionError("Redis was read")


def test_a_place_needs_no_redis() -> None:
    without = SlotNames(load({"SMURFQ_SLOTS": "crate1slot2"}), unread)
    assert without.place("crate1slot2") == "crate1slot2"
    for wrong in ("crate9slot9", "2", "", None, 2, ["crate1slot2"], "a b"):
        with pytest.raises(UnknownSlotError):
            without.place(wrong)


def test_a_stream_id_is_found_in_the_reports_alone() -> None:
    of_producer = names("crate1slot2 crate2slot2", {"crate2slot2": "ufm_mv9", "crate9slot9": "ufm_uv38"})
    assert of_producer.place("ufm_mv9") == "crate2slot2"
    assert of_producer.both("crate2slot2") == "crate2slot2 (ufm_mv9)"
    assert of_producer.both("crate1slot2") == "crate1slot2"
    assert of_producer.both("workflows") == "workflows"
    with pytest.raises(UnknownSlotError, match="'ufm_uv38' is not in the configuration"):
        of_producer.place("ufm_uv38")


def test_a_stream_id_is_found_in_the_settings_alone() -> None:
    assert names("crate1slot2=ufm_mv9").place("ufm_mv9") == "crate1slot2"


def test_a_module_that_has_moved_is_found_where_it_is() -> None:
    moved: dict[str, str] = {"crate1slot2": "ufm_mv9"}
    of_producer = names("crate1slot2 crate1slot3", moved)
    assert of_producer.place("ufm_mv9") == "crate1slot2"
    del moved["crate1slot2"]
    moved["crate1slot3"] = "ufm_mv9"
    assert of_producer.place("ufm_mv9") == "crate1slot3"


@pytest.mark.parametrize(
    ("reported", "told"),
    [
        ({"crate1slot3": "ufm_mv9", "crate1slot2": "ufm_uv38"}, "crate1slot2 by the settings.*crate1slot3 by the work"),
        ({"crate1slot2": "ufm_uv38"}, "crate1slot2 by the settings.*no slot by the workers"),
        ({"crate1slot3": "ufm_mv9"}, "crate1slot2 by the settings.*crate1slot3 by the workers"),
    ],
)
def test_a_stream_id_that_the_workers_have_elsewhere_is_rejected(reported: dict[str, str], told: str) -> None:
    with pytest.raises(UnknownSlotError, match=told):
        names("crate1slot2=ufm_mv9 crate1slot3", reported).place("ufm_mv9")


def test_a_number_means_a_slot_of_each_crate() -> None:
    two = names("crate1slot2 crate2slot2 crate2slot3")
    assert two.with_number(3) == two.with_number("3") == ["crate2slot3"]
    assert two.with_number("2") == ["crate1slot2", "crate2slot2"]
    assert two.with_number("ufm_mv9") == two.with_number("²") == []


def test_a_stream_id_never_belongs_to_two_slots() -> None:
    moved = names("crate1slot2=ufm_mv9 crate1slot3=ufm_uv38", {"crate1slot3": "ufm_mv9", "crate9slot9": "ufm_uv38"})
    assert moved.stream_ids() == {"crate1slot2": "crate1slot2", "crate1slot3": "ufm_mv9"}
