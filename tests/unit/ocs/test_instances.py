"""The slot for an OCS instance id, and OCS's own parameters that smurfq accepts."""

from __future__ import annotations

import pytest

from smurfq.config import Settings, load
from smurfq.config.slot_names import SlotNames
from smurfq.errors import ParameterError, UnknownSlotError
from smurfq.ocs.agent import is_endless
from smurfq.ocs.instances import instance_of, slot_of
from smurfq.ocs.operation import wanted
from smurfq.operations import OPERATIONS


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load(
        {
            "SMURFQ_SLOTS": "crate1slot2 crate1slot3 crate2slot3",
            "SMURFQ_OCS_INSTANCES": '{"pysmurf-controller-ufm-mv9": "crate2slot3", "uv31": "crate1slot3"}',
        }
    )


def names_of(settings: Settings) -> SlotNames:
    return SlotNames(settings, lambda: {"crate1slot2": "ufm_lv4"})


@pytest.mark.parametrize(
    ("instance", "slot"),
    [
        ("pysmurf-controller-crate1slot2", "crate1slot2"),
        ("crate1slot2", "crate1slot2"),
        ("pysmurf-controller-c1s2", "crate1slot2"),
        ("pysmurf-controller-s2", "crate1slot2"),
        ("pysmurf-controller-c2s3", "crate2slot3"),
        ("pysmurf-controller-ufm-mv9", "crate2slot3"),
        ("pysmurf-controller-uv31", "crate1slot3"),
        ("uv31", "crate1slot3"),
        ("pysmurf-controller-ufm-lv4", "crate1slot2"),
        ("pysmurf-controller-ufm_lv4", "crate1slot2"),
        ("ufm_lv4", "crate1slot2"),
    ],
)
def test_an_instance_id_means_a_slot(settings: Settings, instance: str, slot: str) -> None:
    assert slot_of(instance, settings, names_of(settings)) == slot


@pytest.mark.parametrize(
    ("instance", "why"),
    [
        ("pysmurf-controller-s3", "means any of crate1slot3, crate2slot3"),
        ("pysmurf-controller-s7", "names no slot"),
        ("pysmurf-controller-c9s2", "names no slot"),
        ("acu", "names no slot"),
        ("", "names no slot"),
    ],
)
def test_one_that_means_none_or_several_is_refused_by_name(settings: Settings, instance: str, why: str) -> None:
    with pytest.raises(UnknownSlotError, match=why) as caught:
        slot_of(instance, settings, names_of(settings))
    assert repr(instance) in str(caught.value)
    assert "pysmurf-controller-crate1slot2" in str(caught.value)
    assert "pysmurf-controller-ufm-mv9 (crate2slot3)" in str(caught.value)


def test_the_listed_id_of_every_slot_means_it(settings: Settings) -> None:
    listed = [instance_of(slot, settings) for slot in settings.slots]
    assert listed == ["pysmurf-controller-crate1slot2", "pysmurf-controller-uv31", "pysmurf-controller-ufm-mv9"]
    assert [slot_of(instance, settings, names_of(settings)) for instance in listed] == list(settings.slots)


def test_what_only_the_controller_has_is_left_out_but_its_test_mode_is_refused() -> None:
    params = {"tag": "cal", "run_in_main_process": True, "test_mode": False}
    assert wanted(OPERATIONS["take_iv"], params) == {"tag": "cal"}
    with pytest.raises(ParameterError, match=r"uxm_relock: smurfq has no test_mode.*smurfq up --sim"):
        wanted(OPERATIONS["uxm_relock"], {"test_mode": True})


@pytest.mark.parametrize(
    ("op_name", "params", "endless"),
    [
        ("stream", {}, True),
        ("stream", {"duration": None}, True),
        ("stream", {"duration": 5.0}, False),
        ("check_state", {"poll_interval": 1.0}, True),
        ("check_state", {"once": True}, False),
        ("take_iv", {}, False),
        ("of a later version", {}, False),
    ],
)
def test_what_goes_on_until_it_is_stopped(op_name: str, params: dict[str, object], endless: bool) -> None:
    assert is_endless(op_name, params) is endless
