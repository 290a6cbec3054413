"""The doctor's checks that need no service."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml

from smurfq.config import load
from smurfq.site.doctor import epics, examine, files, orphans, publisher, slot_files, store, variables
from smurfq.site.doctor.finding import Examined, Finding
from tests.site.shapes import write_shape

GOOD = {
    "redis_version": "7.2.4",
    "aof_enabled": 1,
    "aof_last_write_status": "ok",
    "maxmemory_policy": "noeviction",
    "role": "master",
}


def examined(**environ: str) -> Examined:
    return Examined(load(environ), environ)


def only(findings: Iterable[Finding]) -> Finding:
    found = list(findings)
    assert len(found) == 1, found
    return found[0]


def test_wrong_settings_are_the_only_finding() -> None:
    finding = only(examine({"SMURFQ_BRIDGE_PORT": "x"}))
    assert (finding.level, finding.name) == ("fail", "settings")
    assert "SMURFQ_BRIDGE_PORT" in finding.found


def test_settings_tell_the_file_and_the_names_of_variables_and_no_value(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.touch()
    environ = {"SMURFQ_CONFIG": str(path), "SMURFQ_REDIS_URL": "redis://:hush@h"}
    finding = only(variables.check(examined(**environ)))
    assert finding.level == "ok"
    assert str(path) in finding.found
    assert "SMURFQ_REDIS_URL" in finding.found
    assert "hush" not in finding.found
    assert only(variables.check(examined())).level == "warn"


@pytest.mark.parametrize(
    ("check", "change", "level"),
    [
        (store._persistence, {}, "ok"),
        (store._persistence, {"aof_enabled": 0}, "fail"),
        (store._persistence, {"aof_last_write_status": "err"}, "fail"),
        (store._policy, {}, "ok"),
        (store._policy, {"maxmemory_policy": "allkeys-lru"}, "fail"),
        (store._policy, {"maxmemory": 100, "used_memory": 95}, "warn"),
        (lambda info: store._version("redis://h", info), {}, "ok"),
        (lambda info: store._version("redis://h", info), {"redis_version": "5.0.7"}, "fail"),
        (lambda info: store._writable(redis.Redis(), info), {"role": "slave"}, "fail"),
    ],
)
def test_rediss_own_report_is_checked(
    check: Callable[[dict[str, Any]], Finding], change: dict[str, Any], level: str | None
) -> None:
    assert check({**GOOD, **change}).level == level


@pytest.mark.parametrize(
    ("url", "level"),
    [("redis://far:6379", "warn"), ("redis://:pw@far", None), ("redis://127.0.0.1", None), ("redis://localhost", None)],
)
def test_a_redis_beyond_loopback_needs_a_password(url: str, level: str | None) -> None:
    assert [finding.level for finding in store._password(url)] == ([level] if level else [])


@pytest.mark.parametrize(
    ("environ", "level", "said"),
    [
        ({}, "ok", "127.0.0.1:8200"),
        ({"SMURFPUB_BACKEND": "null"}, "fail", "DISCARDS"),
        ({"SMURFQ_PUBLISHER_BACKEND": "null"}, "fail", "DISCARDS"),
        ({"SMURFPUB_UDP_PORT": "8201"}, "fail", "127.0.0.1:8201"),
        ({"SMURFPUB_UDP_HOST": "localhost"}, "ok", "localhost:8200"),
        ({"SMURFPUB_UDP_HOST": "127.0.0.2"}, "fail", "127.0.0.2"),
        ({"SMURFQ_BRIDGE_HOST": "0.0.0.0", "SMURFPUB_UDP_HOST": "127.0.0.2"}, "ok", "127.0.0.2"),
    ],
)
def test_the_publisher_must_send_to_the_bridge(environ: dict[str, str], level: str | None, said: str) -> None:
    finding = only(publisher.check(examined(**environ)))
    assert finding.level == level
    assert said in finding.found


def test_script_folders(tmp_path: Path) -> None:
    (tmp_path / "one.py").touch()
    found = list(files._scripts((tmp_path, tmp_path / "none")))
    assert [finding.level for finding in found] == ["ok", "fail"]
    assert "1 Python files" in found[0].found
    assert only(files._scripts(())).level == "warn"


def test_the_state_folder_may_still_have_to_be_made(tmp_path: Path) -> None:
    assert files._state_dir(tmp_path / "a" / "b").level in ("ok", "warn")
    (tmp_path / "file").touch()
    assert files._state_dir(tmp_path / "file" / "state").level == "fail"


def test_a_state_folder_that_other_users_may_read_is_named_beside_its_room(tmp_path: Path) -> None:
    found = {}
    for mode in (0o700, 0o755):
        tmp_path.chmod(mode)
        findings = files.check(examined(SMURFQ_STATE_DIR=str(tmp_path)))
        found[mode] = {finding.name: finding for finding in findings if finding.name.startswith("state folder")}
    assert list(found[0o700]) == ["state folder"]
    assert list(found[0o755]) == ["state folder", "state folder's mode"]
    assert f"chmod 700 {tmp_path}" in found[0o755]["state folder's mode"].todo


def write_sys_config(folder: Path, text: str) -> Path:
    (folder / "sys_config.yml").write_text(text)
    (folder / "dev.yml").touch()
    return folder


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("crate_id: 1\nslots: {'SLOT[2]': {device_config: $SMURF_CONFIG_DIR/dev.yml, "
         "pysmurf_config: $SMURF_CONFIG_DIR/dev.yml, stream_id: crate1slot2}}", ["ok"]),
        ("crate_id: 1\nslots: {'SLOT[2]': {device_config: $SMURF_CONFIG_DIR/dev.yml, "
         "pysmurf_config: $SMURF_CONFIG_DIR/dev.yml, stream_id: ufm_mv9}}", ["ok"]),
        ("crate_id: 1\nslots: {'SLOT[2]': {device_config: $SMURF_CONFIG_DIR/dev.yml, "
         "pysmurf_config: $SMURF_CONFIG_DIR/dev.yml, stream_id: 12}}", ["fail"]),
        ("crate_id: 1\nslots: {'SLOT[2]': {device_config: $SMURF_CONFIG_DIR/dev.yml, "
         "pysmurf_config: $SMURF_CONFIG_DIR/dev.yml}}", ["fail"]),
        ("crate_id: 1\nslots: {'SLOT[2]': {device_config: /no/such.yml}}", ["fail"]),
        ("crate_id: 1\nslots: {}", ["fail"]),
        ("crate_id: 2\nslots: {}", ["fail"]),
        ("crate_id: [", ["fail"]),
        ("", ["fail"]),
    ],
)  # fmt: skip
def test_sys_config_must_list_the_slots(tmp_path: Path, text: str, levels: list[str]) -> None:
    pytest.importorskip("yaml")
    folder = write_sys_config(tmp_path, text)
    found = list(files._config_dir(examined(SMURFQ_SMURF_CONFIG_DIR=str(folder))))
    assert [finding.level for finding in found] == levels
    assert all(finding.todo for finding in found if finding.level != "ok")


@pytest.mark.slot
@pytest.mark.parametrize(
    ("experiment", "groups", "level", "said"),
    [
        ({}, 12, "ok", "12 bias groups, bands 0, 1, 2, 3; its device configuration can be used"),
        ({"nphi0": "2**16"}, 12, "fail", "experiment: nphi0 is the text '2**16', and must be a number"),
        ({"active_bands": [0, 7]}, 12, "fail", "active_bands has 7, but the slot has only bands 0-3"),
        ({"amp_hemt1_init_gate_volt": -1.0}, 12, "warn", "since -1 V breaks HEMTs made by ASU at once"),
        ({"amp_hemt_Vg": -1.1}, 12, "warn", "unknown to sodetlib, or obsolete, in experiment: amp_hemt_Vg"),
        ({}, 16, "warn", "bias groups 15 of "),
    ],
)
def test_values_in_a_slots_files(
    tmp_path: Path, experiment: dict[str, Any], groups: int, level: str, said: str
) -> None:
    if importlib.util.find_spec("sodetlib") is None:
        pytest.skip("needs sodetlib: pip install 'smurfq[slot]'")
    shape = write_shape(tmp_path / "pysmurf.cfg", groups=groups, bands=4)
    device = tmp_path / "device.yml"
    device.write_text(yaml.safe_dump({"experiment": experiment, "bias_groups": {}, "bands": {}}))
    entry = {"stream_id": "ufm_mv9", "pysmurf_config": str(shape), "device_config": str(device)}
    (tmp_path / "sys_config.yml").write_text(yaml.safe_dump({"crate_id": 1, "slots": {"SLOT[2]": entry}}))
    site = examined(SMURFQ_SLOTS="crate1slot2 crate7slot2", SMURF_CONFIG_DIR=str(tmp_path))
    finding = next(iter(slot_files.check(site)))
    assert (finding.level, finding.name) == (level, "values of crate1slot2")
    assert said in finding.found
    assert {one.name for one in slot_files.check(site)} == {"values of crate1slot2"}, "the other crate is elsewhere"


def test_a_pysmurf_without_channel_access_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "11.0.1")
    found = {finding.name: finding for finding in epics.check(examined())}
    assert found["pysmurf and sodetlib"].level == "fail"
    assert "pysmurf-slac 11.0.1 is installed" in found["pysmurf and sodetlib"].found
    assert not any(name.startswith("server of") for name in found)


def test_no_folder_or_no_file(tmp_path: Path) -> None:
    assert only(files._config_dir(examined())).level == "warn"
    assert only(files._config_dir(examined(SMURF_CONFIG_DIR=str(tmp_path)))).level == "fail"


def test_channel_access_is_not_asked_where_pysmurf_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epics, "_OTHERS", ("no-such-package",))
    found = list(epics.check(examined(EPICS_CA_ADDR_LIST="10.0.1.255")))
    assert [finding.level for finding in found] == ["ok", "warn"]
    assert "10.0.1.255" in found[0].found
    assert "no-such-package" in found[1].found


def test_a_hidden_process_is_found_on_this_host(tmp_path: Path) -> None:
    finding = only(orphans.check(examined(SMURFQ_STATE_DIR=str(tmp_path))))
    assert (finding.level, finding.name) == ("ok", "orphans"), finding


def test_doctor_warns_of_a_host_that_allows_no_mark(tmp_path: Path) -> None:
    """As under a unit with LimitRTTIME=: tried in a process of its own, since a limit cannot be raised again."""
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_RTTIME, (10**6, 10**6));"
        "from smurfq.config import load; from smurfq.site.doctor import orphans;"
        "from smurfq.site.doctor.finding import Examined;"
        "(found,) = orphans.check(Examined(load({}), {})); print(found.level, found.todo)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.startswith("warn remove LimitRTTIME=")
