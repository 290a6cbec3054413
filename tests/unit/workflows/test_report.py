"""The report of a step: read by schedules, written into records, printed for people."""

from __future__ import annotations

import json

from smurfq.workflows import Report, SlotOutcome, SlotReport

GOOD = SlotReport("crate1slot2", SlotOutcome.SUCCEEDED, "", "1234567890ab", 1, 12.34)
BAD = SlotReport("crate1slot3", SlotOutcome.TIMED_OUT, "it was not over within 5 s", "abcdef012345", 2, None)
REJECTED = SlotReport("crate1slot4", SlotOutcome.REJECTED, "locked by somebody")


def report(*slots: SlotReport) -> Report:
    return Report("take_iv", {one.slot: one for one in slots}, 1000.0, 1100.0)


def test_it_is_true_where_every_slot_succeeded() -> None:
    assert report(GOOD)
    assert not report(GOOD, BAD)
    assert report(GOOD, BAD).succeeded == ["crate1slot2"]
    assert report(GOOD, BAD).failed == ["crate1slot3"]
    assert report(GOOD, BAD)["crate1slot3"] is BAD


def test_only_success_is_good() -> None:
    for outcome in SlotOutcome:
        assert SlotReport("crate1slot2", outcome).ok is (outcome is SlotOutcome.SUCCEEDED)


def test_it_survives_json() -> None:
    wire = json.loads(json.dumps(report(GOOD, BAD, REJECTED).to_dict()))
    assert wire["operation"] == "take_iv"
    back = {slot: SlotReport.from_dict(slot, one) for slot, one in wire["slots"].items()}
    assert back == {one.slot: one for one in (GOOD, BAD, REJECTED)}


def test_what_was_dropped_is_marked_and_stays_so() -> None:
    once = report(GOOD, BAD).with_dropped(["crate1slot3"])
    assert [one.dropped for one in once.slots.values()] == [False, True]
    assert [one.dropped for one in once.with_dropped([]).slots.values()] == [False, True]


def test_a_person_reads_every_slot_with_its_reason_in_a_narrow_terminal() -> None:
    text = str(report(GOOD, BAD, REJECTED).with_dropped(["crate1slot3", "crate1slot4"]))
    first, *rest = text.splitlines()
    assert first == "take_iv: 1 of 3 succeeded in 1 min 40 s; crate1slot3 timed out, crate1slot4 rejected"
    assert all(len(line) <= 80 for line in rest)
    lines = {line.split()[1] if line.strip().startswith("!") else line.split()[0]: line for line in rest}
    assert "succeeded" in lines["crate1slot2"]
    assert "12 s" in lines["crate1slot2"]
    assert "12345678" in lines["crate1slot2"]
    assert "DROPPED" not in lines["crate1slot2"]
    assert "2 tries" in lines["crate1slot3"]
    assert lines["crate1slot3"].endswith("DROPPED")
    assert any(line.strip() == "it was not over within 5 s" for line in rest)
