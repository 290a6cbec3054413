from __future__ import annotations

from smurfq.core.stages import new_stages, words


def test_only_stages_that_were_not_there_before_are_new() -> None:
    first = [["setup_amps", 1.0]]
    second = [["setup_amps", 1.0], ("noise", 2)]
    assert new_stages(first) == [("setup_amps", 1.0)]
    assert new_stages(second, first) == [("noise", 2.0)]
    assert new_stages(second, second) == []


def test_a_stage_begun_again_later_is_new() -> None:
    assert new_stages([["noise", 1.0], ["noise", 9.0]], [["noise", 1.0]]) == [("noise", 9.0)]


def test_malformed_timestamps_make_no_stages() -> None:
    for value in (
        None,
        3,
        "text",
        {"a": 1},
        [1],
        [["a"]],
        [["a", "b"]],
        [[1, 2]],
        [["a", True]],
        [["a", 1, 2]],
        [["a", 10**400]],
    ):
        assert new_stages(value) == []
    assert new_stages([["a", 1]], "no list") == [("a", 1.0)]


def test_a_stage_is_shown_with_its_number_if_that_is_known() -> None:
    assert words("uxm_setup", "setup_amps") == "setup_amps (1/7)"
    assert words("uxm_relock", "end") == "end (6/6)"
    assert words("uxm_setup", "abort: asked") == "abort: asked"
    assert words("take_iv", "setup_amps") == "setup_amps"
