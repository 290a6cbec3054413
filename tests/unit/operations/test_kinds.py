"""A type describes the values that it allows."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from smurfq.operations.kinds import Allowed, Bands, Count, Number, Text, allowed


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Number, "a number"),
        (Count, "a whole number from 0"),
        (Annotated[Bands | None, "a note"], "a band 0-7, or a list of different bands, or null"),
        (Text | Number | None, "a text or a number, or null"),
        (list[Number], "a list, each item a number"),
        (tuple[Number, Text], "a list of 2: a number, a text"),
        (dict, "a JSON object"),
        (list, "a list"),
        (bool, "true or false"),
        (Any, "any value"),
        (type(None), "null"),
        (Annotated[Number, Allowed("a temperature")], "a temperature"),
    ],
)
def test_a_type_has_words_for_what_it_allows(kind: Any, words: str) -> None:
    assert allowed(kind) == words
