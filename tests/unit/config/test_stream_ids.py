"""The two names of a slot: where its stream id comes from, and which names are rejected."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from smurfq.config import load
from smurfq.errors import ConfigError, UnknownSlotError

TWO = "crate1slot2 crate1slot3"


def sys_config(folder: Path, stream_ids: Mapping[int, object], **top: object) -> dict[str, str]:
    """Variables that name the folder of a sys_config.yml with these stream ids by slot."""
    slots = {f"SLOT[{slot}]": {"stream_id": stream_id} for slot, stream_id in stream_ids.items()}
    (folder / "sys_config.yml").write_text(yaml.safe_dump({"crate_id": 1, "slots": slots, **top}))
    return {"SMURFQ_SLOTS": TWO, "SMURFQ_SMURF_CONFIG_DIR": str(folder)}


def site_file(folder: Path, text: str) -> Path:
    path = folder / "site.toml"
    path.write_text(text)
    return path


def test_without_any_file_the_stream_id_is_the_place() -> None:
    assert load({"SMURFQ_SLOTS": TWO}).stream_ids == {"crate1slot2": "crate1slot2", "crate1slot3": "crate1slot3"}


def test_stream_ids_come_from_the_site_file(tmp_path: Path) -> None:
    path = site_file(tmp_path, '[[crates]]\nid = 1\nslots = [2, 3]\nstream_ids = {2 = "ufm_mv9"}\n')
    assert load({}, path).stream_ids == {"crate1slot2": "ufm_mv9", "crate1slot3": "crate1slot3"}


def test_stream_ids_come_from_the_variable() -> None:
    settings = load({"SMURFQ_SLOTS": "crate1slot2=ufm_mv9, crate2slot2"})
    assert settings.stream_ids == {"crate1slot2": "ufm_mv9", "crate2slot2": "crate2slot2"}


def test_sys_config_has_precedence_over_the_site_file(tmp_path: Path) -> None:
    path = site_file(tmp_path, '[[crates]]\nid = 1\nslots = [2, 3]\nstream_ids = {2 = "ufm_mv9", 3 = "ufm_mv10"}\n')
    environ = sys_config(tmp_path, {2: "ufm_uv38"})
    del environ["SMURFQ_SLOTS"]
    assert load(environ, path).stream_ids == {"crate1slot2": "ufm_uv38", "crate1slot3": "ufm_mv10"}


@pytest.mark.parametrize("variable", ["SMURF_CONFIG_DIR", "OCS_CONFIG_DIR"])
def test_sys_config_is_read_where_sodetlib_reads_it(tmp_path: Path, variable: str) -> None:
    sys_config(tmp_path, {2: "ufm_mv9"})
    environ = {variable: str(tmp_path), "SMURFQ_SMURF_CONFIG_DIR": "/elsewhere"}
    assert load(environ).stream_ids == {"crate1slot2": "ufm_mv9"}


def test_sys_config_of_another_crate_names_no_slot(tmp_path: Path) -> None:
    environ = {**sys_config(tmp_path, {2: "ufm_mv9"}, crate_id=7), "SMURFQ_SLOTS": "crate1slot2 crate2slot2"}
    assert load(environ).stream_ids["crate1slot2"] == "crate1slot2"


def test_sys_config_without_a_crate_is_for_the_only_crate(tmp_path: Path) -> None:
    environ = sys_config(tmp_path, {2: "ufm_mv9"})
    text = (tmp_path / "sys_config.yml").read_text().replace("crate_id: 1\n", "")
    (tmp_path / "sys_config.yml").write_text(text)
    assert load(environ).stream_ids["crate1slot2"] == "ufm_mv9"


@pytest.mark.parametrize(
    "text", ["[1, 2", "- 1", "slots: 3", "slots: {'SLOT[2]': 3}", "slots: {'SLOT[2]': {}}", "\x00"]
)
def test_a_malformed_sys_config_stops_no_command(tmp_path: Path, text: str) -> None:
    environ = sys_config(tmp_path, {})
    (tmp_path / "sys_config.yml").write_text(text)
    assert load(environ).stream_ids["crate1slot2"] == "crate1slot2"


@pytest.mark.parametrize("stream_id", [None, 7, "", "a b", "../x", "12", "ufm_mv9.state", "workflows"])
def test_a_malformed_stream_id_in_sys_config_is_not_used(tmp_path: Path, stream_id: object) -> None:
    assert load(sys_config(tmp_path, {2: stream_id})).stream_ids["crate1slot2"] == "crate1slot2"


def test_two_slots_with_one_stream_id_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="crate1slot2 and crate1slot3 have the same stream id 'ufm_mv9'"):
        load({"SMURFQ_SLOTS": "crate1slot2=ufm_mv9 crate1slot3=ufm_mv9"})
    with pytest.raises(ConfigError, match="same stream id"):
        load(sys_config(tmp_path, {2: "ufm_mv9", 3: "ufm_mv9"}))


@pytest.mark.parametrize("place", ["crate1slot3", "crate1_slot3"])
def test_the_place_of_another_slot_is_no_stream_id(place: str) -> None:
    with pytest.raises(ConfigError, match="place of another slot"):
        load({"SMURFQ_SLOTS": f"crate1slot2={place} crate1slot3=ufm_mv9"})


def test_the_own_place_is_a_stream_id() -> None:
    assert load({"SMURFQ_SLOTS": "crate1slot2=crate1_slot2"}).stream_ids == {"crate1slot2": "crate1_slot2"}


@pytest.mark.parametrize(
    "stream_id", ["12", "s2", "c1s2", "a/b", "ufm_mv9.state", "workflows", "STREAMER:x", "ufm mv9"]
)
def test_a_malformed_stream_id_in_the_site_file_is_an_error(tmp_path: Path, stream_id: str) -> None:
    path = site_file(tmp_path, f'[[crates]]\nid = 1\nslots = [2]\nstream_ids = {{2 = "{stream_id}"}}\n')
    with pytest.raises(ConfigError, match="crate1slot2 must be of letters"):
        load({}, path)


def test_a_stream_id_for_a_slot_that_the_site_does_not_have_is_an_error(tmp_path: Path) -> None:
    path = site_file(tmp_path, '[[crates]]\nid = 1\nslots = [2]\nstream_ids = {3 = "ufm_mv9"}\n')
    with pytest.raises(ConfigError, match="crate1slot3, which is not one of its slots"):
        load({}, path)


def test_simulated_slots_have_stream_ids_of_their_own(tmp_path: Path) -> None:
    environ = {**sys_config(tmp_path, {2: "ufm_of_an_earlier_run"}), "SMURFQ_SIMULATED": "true"}
    assert load(environ).stream_ids == {"crate1slot2": "ufm_mv12", "crate1slot3": "ufm_uv13"}
    assert load({**environ, "SMURFQ_SLOTS": "crate1slot2=ufm_mv9"}).stream_ids == {"crate1slot2": "ufm_mv9"}


def test_a_slot_is_found_by_either_name() -> None:
    settings = load({"SMURFQ_SLOTS": "crate1slot2=ufm_mv9 crate1slot3=ufm_uv38"})
    assert settings.check_slot("ufm_uv38") == settings.check_slot("crate1slot3") == "crate1slot3"
    with pytest.raises(UnknownSlotError, match=r"crate1slot2 \(ufm_mv9\), .*; did you mean 'ufm_mv9'") as caught:
        settings.check_slot("ufm_mv8")
    assert caught.value.known == ["crate1slot2", "crate1slot3", "ufm_mv9", "ufm_uv38"]


def test_without_yaml_and_with_an_unreadable_file_commands_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = sys_config(tmp_path, {2: "ufm_mv9"})
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert load(environ).stream_ids["crate1slot2"] == "crate1slot2"
    monkeypatch.undo()
    (tmp_path / "sys_config.yml").write_text("[" * 100_000)
    assert load(environ).stream_ids["crate1slot2"] == "crate1slot2"
    (tmp_path / "sys_config.yml").unlink()
    (tmp_path / "sys_config.yml").mkdir()
    assert load(environ).stream_ids["crate1slot2"] == "crate1slot2"
