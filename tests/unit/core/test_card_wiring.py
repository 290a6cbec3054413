"""The wiring of a card, from pysmurf configurations of the shapes that sites have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from smurfq.core.card_wiring import parse_wiring, read_pysmurf_file, usual_wiring
from smurfq.smurf_control.wiring import wiring_of

C02 = {"LNA_Vg": -0.6, "dac_num_50k": 32}
C04 = {**C02, "50k1": {"gate_volt_min": -1}, "hemt1": {}}


def table(groups: int = 12, bands: int = 8, amplifiers: Any = None, **more: Any) -> dict[str, Any]:
    """The parts of a configuration that describe its wiring."""
    return {
        "init": {"dspEnable": 1, **{f"band_{band}": {} for band in range(bands)}},
        "bias_group_to_pair": {str(group): [2 * group + 1, 2 * group + 2] for group in range(groups)},
        "pic_to_bias_group": {str(bit): bit for bit in range(16)},
        "amplifier": amplifiers or C02,
        **more,
    }


def test_a_card_with_twelve_groups_and_two_bays_has_the_usual_wiring() -> None:
    found, usual = parse_wiring(table()), usual_wiring("")
    assert (found.pairs, found.relays, found.bands) == (usual.pairs, usual.relays, usual.bands)
    assert not found.depends_on_firmware
    assert found.shared_groups == []


def test_a_card_with_one_bay_has_four_bands() -> None:
    assert parse_wiring(table(bands=4)).bands == (0, 1, 2, 3)


def test_fifteen_groups_are_free_unless_the_cryocard_drives_amplifiers_with_their_dacs() -> None:
    found = parse_wiring(table(groups=15))
    assert found.depends_on_firmware
    for major in (0, 1, 2, 3, 10):
        assert list(found.for_firmware(major).bias_pairs) == list(range(15))
    for unlike in (None, 4, 5):
        assert found.for_firmware(unlike).shared_groups == [12, 13, 14]
        assert list(found.for_firmware(unlike).bias_pairs) == list(range(12))
    assert parse_wiring(table(groups=15, amplifiers=C04)).shared_groups == [12, 13, 14]
    own = {**C04, "50k2": {"gate_dac_num": 1}}
    assert 0 in parse_wiring(table(amplifiers=own)).shared_groups
    assert parse_wiring(table(groups=16)).shared_groups == [15], "DAC 32 is the gate of the 50 K amplifier"


def test_relays_are_those_of_the_map() -> None:
    crossed = {"0": 1, "1": 0, **{str(bit): bit for bit in range(2, 12)}}
    found = parse_wiring(table(pic_to_bias_group=crossed))
    assert found.groups_of(0b101) == [1, 2]
    assert found.in_words(1 << 0 | 1 << 2 | 1 << 13) == "bias groups 1-2 and relays 13 of no group"
    assert found.in_words(1 << 14) == "relays 14 of no group"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"bias_group_to_pair": {"0": [1, 2], "2": [3, 4]}}, "must have the groups 0, 1, 2, …; it has 0, 2"),
        ({"bias_group_to_pair": {}}, "it has none"),
        ({"bias_group_to_pair": {"0": [1, 33]}}, r"different DACs from 1 to 32; these are wrong or repeated: \[33\]"),
        ({"bias_group_to_pair": {"0": [1, 2], "1": [2, 3]}}, r"wrong or repeated: \[2\]"),
        ({"bias_group_to_pair": {"0": [1]}}, "not enough values"),
        ({"bias_group_to_pair": 5}, "its wiring cannot be read"),
        ({"pic_to_bias_group": {"0": 0}}, "has no relay for bias groups 1-11"),
        ({"pic_to_bias_group": {str(bit + 5): bit for bit in range(12)}}, r"from 0 to 15; it has \[16\]"),
        ({"init": 5}, "its wiring cannot be read"),
    ],
)
def test_a_wiring_that_cannot_be_is_rejected(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_wiring({**table(), **wrong})


def test_a_configuration_may_have_comments(tmp_path: Path) -> None:
    path = tmp_path / "pysmurf.cfg"
    path.write_text('# a card\n{"a": 1, # one\n# "b": 2,\n"c": 3}\n')
    assert read_pysmurf_file(path) == {"a": 1, "c": 3}
    path.write_text("[1]")
    with pytest.raises(ValueError, match="is not a JSON table"):
        read_pysmurf_file(path)


def test_a_card_without_a_readable_configuration_has_the_usual_wiring(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("OCS_CONFIG_DIR", raising=False)
    monkeypatch.delenv("SMURF_CONFIG_DIR", raising=False)
    assert wiring_of("crate1slot2") == usual_wiring("")
    monkeypatch.setenv("SMURF_CONFIG_DIR", str(tmp_path))
    found = wiring_of("crate1slot2")
    assert list(found.bias_pairs) == list(range(12))
    assert "sys_config.yml is missing" in found.problem
