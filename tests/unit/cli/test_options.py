"""Slots and parameters are parsed from a command line."""

from __future__ import annotations

from typing import Any

import click
import pytest

from smurfq.cli.options import choose_slot, parse_params
from smurfq.config import load
from smurfq.config.slot_names import SlotNames
from smurfq.errors import UnknownSlotError


def names_of(slots: str, **reported: str) -> SlotNames:
    return SlotNames(load({"SMURFQ_SLOTS": slots}), lambda: reported)


ONE = names_of("crate1slot2")
TWO = names_of("crate1slot2=ufm_mv9,crate1slot3", crate1slot3="ufm_uv38")
TWO_CRATES = names_of("crate1slot2,crate2slot2,crate2slot3")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("duration=30", 30),
        ("rfrac=[0.2,0.9]", [0.2, 0.9]),
        ('kwargs={"a": null}', {"a": None}),
        ("tag=cal", "cal"),
        ("tag=cal,night", "cal,night"),
        ("script=/config/a.py", "/config/a.py"),
        ('tag="a=b c"', "a=b c"),
        ("flag=true", True),
        ("subtype=None_of_these", "None_of_these"),
    ],
)
def test_values_are_json_or_bare_words(text: str, value: Any) -> None:
    assert parse_params([text]) == {text.partition("=")[0]: value}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("duration", "expected key=JSON"),
        ("=3", "expected key=JSON"),
        ("tag=a b", "neither JSON"),
        ("bias=[1,", "neither JSON"),
        ("bias=1.2.3", "neither JSON"),
        ("tag=", "neither JSON"),
        ("bias=NaN", "neither JSON"),
        ("bias=[Infinity]", "neither JSON"),
        ("tag=None", "null"),
        ("load_tune=False", "false"),
    ],
)
def test_other_values_are_rejected_with_what_to_write(text: str, told: str) -> None:
    with pytest.raises(click.BadParameter, match=told):
        parse_params([text])


def test_a_parameter_given_twice_is_rejected() -> None:
    with pytest.raises(click.BadParameter, match="twice"):
        parse_params(["tag=a", "tag=b"])


def test_the_slot_given_wins() -> None:
    assert choose_slot("crate1slot3", {"SLOT": "2"}, TWO) == "crate1slot3"
    assert choose_slot("3", {}, TWO) == "crate1slot3"
    assert choose_slot("ufm_mv9", {}, TWO) == "crate1slot2"
    assert choose_slot("ufm_uv38", {}, TWO) == "crate1slot3"


def test_a_site_of_one_slot_needs_none() -> None:
    assert choose_slot(None, {}, ONE) == "crate1slot2"


def test_slot_as_pysmurf_reads_it() -> None:
    assert choose_slot(None, {"SLOT": "3"}, TWO) == "crate1slot3"
    assert choose_slot(None, {"SLOT": "3"}, TWO_CRATES) == "crate2slot3"


@pytest.mark.parametrize(
    ("environ", "settings"),
    [({}, TWO), ({"SLOT": "7"}, TWO), ({"SLOT": "7"}, ONE), ({"SLOT": "2"}, TWO_CRATES), ({"SLOT": "two"}, ONE)],
)
def test_a_slot_is_never_guessed(environ: dict[str, str], settings: Any) -> None:
    with pytest.raises(click.UsageError, match="--slot"):
        choose_slot(None, environ, settings)


@pytest.mark.parametrize("given", ["crate1slot7", "7", "2", "slot2", ""])
def test_a_slot_that_the_site_does_not_have_is_rejected(given: str) -> None:
    with pytest.raises(UnknownSlotError, match="crate1slot2"):
        choose_slot(given, {}, TWO_CRATES)
