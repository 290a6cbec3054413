"""An error about an unknown name helps to find the right one."""

from __future__ import annotations

import pytest

from smurfq.core.suggestion import did_you_mean, suggest

KNOWN = ("take_iv", "take_noise")


def test_the_nearest_name_is_suggested() -> None:
    assert did_you_mean("take_ivs", KNOWN) == suggest("take_ivs", KNOWN) == "; did you mean 'take_iv'?"


@pytest.mark.parametrize(("known", "text"), [(KNOWN, "; known are take_iv, take_noise"), ((), "; there are none")])
def test_all_names_are_listed_where_none_is_near(known: tuple[str, ...], text: str) -> None:
    assert suggest("xyzzy", known) == text
    assert did_you_mean("xyzzy", known) == ""
