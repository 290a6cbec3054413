"""An error about an unknown name suggests the most similar one, or lists all."""

from __future__ import annotations

from smurfq.core.nearest_name import nearest


def test_a_similar_name_is_suggested() -> None:
    assert nearest("take_ivs", ["take_noise", "take_iv"]) == "; did you mean 'take_iv'?"


def test_without_a_similar_name_all_are_listed() -> None:
    assert nearest("zzz", ["a", "b"]) == "; known are a, b"
