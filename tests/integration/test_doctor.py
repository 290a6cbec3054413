"""The doctor with a real Valkey: without problems, and with one problem after the other."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from smurfq.cli import main
from smurfq.config import load
from smurfq.core import keys
from smurfq.core.slot import queue_name
from smurfq.errors import ConfigError
from smurfq.site.doctor import bridge, store, stream_ids, workers
from smurfq.site.doctor.finding import Examined, Finding
from smurfq.store.bridge import BridgeBoard, Counters, Health
from smurfq.store.connection import Client
from smurfq.store.fence import Fence
from smurfq.store.holds import Hold, Holds
from smurfq.store.stream_ids import StreamIds
from tests.site.bridge import BRIDGE_KEY, HOST
from tests.site.ports import free_port

SLOT = "crate1slot2"


@pytest.fixture
def examined(valkey: Client, valkey_url: str) -> Examined:
    environ = {"SMURFQ_REDIS_URL": valkey_url}
    return Examined(load(environ), environ)


@pytest.fixture
def configured(valkey: Client) -> Iterator[Client]:
    """A Valkey whose configuration is put back afterwards."""
    yield valkey
    valkey.config_set("appendonly", "yes")
    valkey.config_set("maxmemory-policy", "noeviction")
    valkey.config_set("min-replicas-to-write", 0)


def by_name(findings: Iterator[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


def test_a_good_redis(examined: Examined) -> None:
    found = by_name(store.check(examined))
    assert {name: finding.level for name, finding in found.items()} == {
        "redis": "ok",
        "redis persistence": "ok",
        "redis memory": "ok",
        "redis writes": "ok",
        "clock": "ok",
    }
    assert "Valkey" in found["redis"].found
    assert examined.redis_answers


@pytest.mark.parametrize(
    ("key", "value", "name"),
    [
        ("appendonly", "no", "redis persistence"),
        ("maxmemory-policy", "allkeys-lru", "redis memory"),
        ("min-replicas-to-write", "1", "redis writes"),
    ],
)
def test_a_redis_that_would_lose_or_refuse(
    configured: Client, examined: Examined, key: str, value: str, name: str
) -> None:
    configured.config_set(key, value)
    finding = by_name(store.check(examined))[name]
    assert finding.level == "fail"
    assert finding.todo


def test_a_redis_that_is_away() -> None:
    environ = {"SMURFQ_REDIS_URL": f"redis://:hush@127.0.0.1:{free_port()}"}
    examined = Examined(load(environ), environ)
    found = [*store.check(examined), *bridge.check(examined), *workers.check(examined)]
    assert [(finding.name, finding.level) for finding in found] == [("redis", "fail")]
    assert "hush" not in repr(found)


def health(**change: object) -> Health:
    values = {
        "name": HOST,
        "pid": 1,
        "host": socket.gethostname(),
        "started": time.time(),
        "address": "127.0.0.1:8200",
        "receive_buffer_bytes": 8 << 20,
        "counters": Counters(received=5, applied=5),
        **change,
    }
    return Health(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "name", "level", "said"),
    [
        ({}, "bridge", "ok", "127.0.0.1:8200"),
        ({"address": "127.0.0.1:8201"}, "bridge", "fail", "127.0.0.1:8201"),
        ({}, "bridge messages", "ok", "5 received"),
        ({"counters": Counters(lost=3)}, "bridge messages", "warn", "3 lost"),
        ({"counters": Counters(unknown_id=3)}, "bridge messages", "warn", "publisher id"),
        ({}, "receive buffer", "ok", "8192 KB"),
    ],
)
def test_the_bridges_own_report_is_checked(
    valkey: Client, examined: Examined, change: dict[str, Any], name: str, level: str, said: str
) -> None:
    BridgeBoard(valkey, HOST).show(health(**change))
    examined.redis_answers = True
    finding = by_name(bridge.check(examined))[name]
    assert finding.level == level
    assert said in finding.found


def test_no_bridge(examined: Examined) -> None:
    examined.redis_answers = True
    assert by_name(bridge.check(examined))["bridge"].level == "fail"


def test_workers_by_their_leases(valkey: Client, examined: Examined) -> None:
    examined.redis_answers = True
    assert by_name(workers.check(examined))[f"worker {SLOT}"].level == "fail"
    fence = Fence(valkey, 1000)
    fence.take_lease(queue_name(SLOT, "control"), "token", 600)
    assert by_name(workers.check(examined))[f"worker {SLOT}"].level == "warn"
    fence.take_lease(queue_name(SLOT, "state"), "token", 600)
    valkey.hset(keys.worker(SLOT), mapping={"host": '"a-host"', "pid": "7"})
    finding = by_name(workers.check(examined))[f"worker {SLOT}"]
    assert (finding.level, "a-host" in finding.found) == ("ok", True)
    Holds(valkey).put(Hold(SLOT, "someone", "maintenance"))
    assert "maintenance" in by_name(workers.check(examined))[f"hold {SLOT}"].found


def test_the_command_says_all_and_its_exit_code_tells(
    valkey: Client, valkey_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith(("SMURFQ_", "SMURFPUB_", "EPICS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SMURFQ_REDIS_URL", valkey_url)
    monkeypatch.setenv("SMURFQ_STATE_DIR", str(tmp_path))
    done = CliRunner().invoke(main, ["doctor", "--json"])
    answer = json.loads(done.stdout)
    assert done.exit_code == 1
    assert answer["ok"] is False
    levels = {finding["name"]: finding["level"] for finding in answer["findings"]}
    assert (levels["redis"], levels["bridge"], levels[f"worker {SLOT}"]) == ("ok", "fail", "fail")
    BridgeBoard(valkey, HOST).show(health())
    valkey.persist(BRIDGE_KEY)
    fence = Fence(valkey, 1000)
    for lane in ("control", "state"):
        fence.take_lease(queue_name(SLOT, lane), "token", 600)
    valkey.hset(keys.worker(SLOT), mapping={"host": '"a-host"', "pid": "7"})
    done = CliRunner().invoke(main, ["doctor"])
    assert done.exit_code == 0, done.output
    assert f"ok   worker {SLOT}" in done.output
    assert "0 failed" in done.output


@pytest.mark.parametrize(
    ("in_file", "in_site", "reported", "level", "todo"),
    [
        ("ufm_mv9", "ufm_mv9", "ufm_mv9", "ok", ""),
        ("ufm_mv9", None, None, "ok", ""),
        (None, None, None, "ok", ""),
        ("ufm_mv9", "ufm_mv10", "ufm_mv9", "warn", "correct stream_ids of the site file. sys_config.yml must"),
        ("ufm_mv9", None, "ufm_uv38", "warn", "restart the worker of crate1slot2, which read sys_config.yml"),
        (None, "ufm_mv9", "ufm_uv38", "warn", "correct stream_ids of the site file, or remove it there"),
    ],
)
def test_the_sources_of_a_stream_id_must_agree(
    in_file: str | None,
    in_site: str | None,
    reported: str | None,
    level: str,
    todo: str,
    valkey: Client,
    valkey_url: str,
    tmp_path: Path,
) -> None:
    environ = {"SMURFQ_REDIS_URL": valkey_url, "SMURFQ_SLOTS": f"{SLOT}={in_site}" if in_site else SLOT}
    if in_file:
        (tmp_path / "sys_config.yml").write_text(f"crate_id: 1\nslots: {{'SLOT[2]': {{stream_id: {in_file}}}}}\n")
        environ["SMURFQ_SMURF_CONFIG_DIR"] = str(tmp_path)
    if reported:
        StreamIds(valkey).report(SLOT, reported)
    (finding,) = stream_ids.check(Examined(load(environ), environ, redis_answers=True))
    assert finding.level == level
    assert todo in finding.todo
    for name in {in_file, in_site, reported} - {None}:
        assert str(name) in finding.found


def test_a_worker_with_the_stream_id_of_a_living_worker_is_rejected(valkey: Client) -> None:
    ids = StreamIds(valkey)
    ids.report(SLOT, "ufm_mv9")
    valkey.hset(keys.worker(SLOT), "pid", "7")
    with pytest.raises(ConfigError, match="the worker of crate1slot2 has the same stream id 'ufm_mv9' as crate2slot2"):
        ids.report("crate2slot2", "ufm_mv9")
    assert ids.read() == {SLOT: "ufm_mv9"}
    valkey.delete(keys.worker(SLOT))  # the module moves
    ids.report("crate2slot2", "ufm_mv9")
    assert ids.read() == {"crate2slot2": "ufm_mv9"}
