"""The ids under which Publishers send for a slot, and the lane that each belongs to."""

from __future__ import annotations

from smurfq.core.publisher_ids import Publisher, is_of_state_lane, known_publishers, server_id, smurfpub_id


def test_each_name_of_a_slot_leads_to_its_lanes() -> None:
    known = known_publishers({"crate1slot2": "ufm_mv9"})
    for name in ("ufm_mv9", "crate1slot2", "crate1_slot2"):
        assert known[smurfpub_id(name, "control")] == Publisher("crate1slot2", "crate1slot2")
        assert known[smurfpub_id(name, "state")] == Publisher("crate1slot2", "crate1slot2.state")
        assert known[server_id(name)] == Publisher("crate1slot2", None)
    assert len(known) == 9


def test_a_stream_id_has_precedence_over_an_older_place() -> None:
    known = known_publishers({"crate1slot2": "ufm_mv9", "crate1slot3": "crate1_slot2"})
    assert known["crate1_slot2"].slot == "crate1slot3"


def test_the_state_lane_is_known_by_its_id() -> None:
    assert is_of_state_lane(smurfpub_id("ufm_mv9", "state"))
    assert not is_of_state_lane(smurfpub_id("ufm_mv9", "control"))
