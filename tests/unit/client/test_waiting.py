"""The reason why a run waits, in words."""

from __future__ import annotations

from typing import Any

import pytest

from smurfq.client.waiting import WaitReason, _ordinal, lane_of
from smurfq.store.fence import Running
from smurfq.store.holds import Hold
from smurfq.store.queues import Waiting


def _waiting(number: int, op_name: str = "smurfq.take_iv") -> Waiting:
    return Waiting(f"{number}" * 36, op_name, "crate1slot2", 5, [], {}, {}, {}, "", "")


def _reason(**changed: Any) -> WaitReason:
    usual = {
        "slot": "crate1slot2",
        "lane": "control",
        "place": 1,
        "in_front": (),
        "running": None,
        "hold": None,
        "served": True,
    }
    return WaitReason(**{**usual, **changed})


def test_the_next_to_be_served_says_what_runs() -> None:
    running = Running("9" * 36, "stream", "crate1slot2", "crate1slot2", "host", "lease", 0.0)
    assert str(_reason(running=running)) == "next in the queue of crate1slot2; stream 99999999 runs there"


def test_one_behind_others_names_the_first_of_them() -> None:
    in_front = tuple(_waiting(number) for number in (1, 2, 3))
    assert str(_reason(place=4, in_front=in_front)) == (
        "4th in the queue of crate1slot2, behind take_iv 11111111, take_iv 22222222 and 1 more"
    )


def test_a_hold_and_a_missing_worker_are_told() -> None:
    text = str(_reason(hold=Hold("crate1slot2", "ann", "swap"), served=False))
    assert "crate1slot2 is held by ann (swap)" in text
    assert "no worker serves crate1slot2" in text
    assert "smurfq worker --slot crate1slot2" in text


def test_one_that_a_worker_has_by_now_is_on_its_way() -> None:
    assert str(_reason(place=None)) == "on its way to the worker of crate1slot2"
    assert str(_reason(place=None, starting=True)) == "starting on crate1slot2"


@pytest.mark.parametrize(
    ("number", "text"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (21, "21st")]
)
def test_ordinals(number: int, text: str) -> None:
    assert _ordinal(number) == text


def test_the_lane_of_a_queue() -> None:
    assert lane_of("crate1slot2", "crate1slot2") == "control"
    assert lane_of("crate1slot2", "crate1slot2.state") == "state"
    assert lane_of("crate1slot2", "crate1slot2.emergency") == "emergency"
