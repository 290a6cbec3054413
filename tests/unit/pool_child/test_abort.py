"""The stages by which an operation is ended."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from smurfq.pool_child.abort import Stage, Why, plan

seconds = st.floats(0, 100)


@given(seconds, seconds, seconds, st.lists(seconds))
def test_stages_come_in_order_and_never_go_back(
    abort_s: float, kill_s: float, delay_s: float, looks: list[float]
) -> None:
    ending = plan(Why.ABORT, by="x", reason="y", now=0.0, abort_grace_s=abort_s, kill_grace_s=kill_s, delay_s=delay_s)
    stage = Stage.NONE
    for now in sorted(looks):
        new = ending.due(stage, now)
        assert new >= stage
        assert (new is Stage.KILLED) == (now >= ending.kill_at)
        assert (new is Stage.NONE) == (now < ending.ask_at)
        stage = new


def test_each_stage_begins_after_its_grace() -> None:
    ending = plan(Why.ABORT, by="x", reason="y", now=100.0, abort_grace_s=10, kill_grace_s=5, delay_s=2)
    looks = {101.9: Stage.NONE, 102: Stage.ASKED, 111.9: Stage.ASKED, 112: Stage.SIGNALLED, 117: Stage.KILLED}
    assert {now: ending.due(Stage.NONE, now) for now in looks} == looks
    assert [ending.next_at(stage) for stage in Stage] == [102, 112, 117, None]


def test_a_second_request_only_makes_it_faster() -> None:
    slow = plan(Why.TIME_LIMIT, by="smurfq", reason="too long", now=0, abort_grace_s=10, kill_grace_s=10)
    fast = plan(Why.ABORT, by="somebody", reason="now", now=3, abort_grace_s=0, kill_grace_s=0)
    both = slow.sooner(fast)
    assert (both.why, both.by) == (Why.TIME_LIMIT, "smurfq")
    assert (both.ask_at, both.signal_at, both.kill_at) == (0, 3, 3)
