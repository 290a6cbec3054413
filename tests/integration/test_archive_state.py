"""How many files wait for the archive, and why, is in status, doctor, metrics and records."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from smurfq.bridge.archive_metrics import ArchiveCollector
from smurfq.config import load
from smurfq.core.session import SessionRecord, file_registered
from smurfq.site.doctor import archive as doctor
from smurfq.site.doctor.finding import Examined, Finding
from smurfq.store import Batch
from smurfq.store.archive_list import ArchiveList, FileMessage, Registrar, SettledFile
from smurfq.store.connection import Client
from tests.site.archive import ArchiveSite
from tests.site.bridge import HOST

HOUR_S = 3600.0


@pytest.fixture
def site(valkey: Client, valkey_url: str, tmp_path: Path) -> Iterator[ArchiveSite]:
    """A site without processes."""
    with ArchiveSite(valkey_url, tmp_path) as site:
        yield site


def fill(site: ArchiveSite, *, waiting: int = 0, age_s: float = 0.0, task_id: str | None = None) -> None:
    messages = [
        FileMessage("ufm_mv9", {"path": f"/{number}"}, time.time() - age_s, task_id) for number in range(waiting)
    ]
    with site.client.pipeline() as pipe:
        site.archive.queue(pipe, messages)
        pipe.execute()


def report(site: ArchiveSite, problem: str | None = None, database: str = "") -> None:
    site.archive.report(Registrar(7, "a host", time.time(), database or str(site.database), problem))


def findings(site: ArchiveSite, **variables: str) -> dict[str, Finding]:
    environ = {**site.environ, **variables}
    return {one.name: one for one in doctor.check(Examined(load(environ), environ, redis_answers=True))}


def status(site: ArchiveSite, *arguments: str) -> str:
    command = [sys.executable, "-m", "smurfq", "status", *arguments]
    return subprocess.run(command, env=site.environ, capture_output=True, text=True, check=True).stdout


def metrics(client: Client) -> dict[str, float]:
    return {metric.name: metric.samples[0].value for metric in ArchiveCollector(ArchiveList(client, HOST)).collect()}


def test_without_a_registrar_the_waiting_files_are_a_failure(site: ArchiveSite) -> None:
    fill(site, waiting=3, age_s=2 * HOUR_S)
    found = findings(site)["archive"]
    assert found.level == "fail"
    assert found.found == "no registrar runs; 3 files wait, the oldest for 2 h 00 min"
    assert f"{HOST}: no registrar runs: files are not registered" in status(site)
    told = json.loads(status(site, "--json"))["archives"][HOST]
    assert (told["waiting"], told["registrar"]) == (3, None)
    assert told["oldest"] < time.time() - HOUR_S
    shown = metrics(site.client)
    assert (shown["smurfq_archive_waiting"], shown["smurfq_archive_registering"]) == (3, 0)
    assert shown["smurfq_archive_oldest_seconds"] > HOUR_S


def test_a_problem_of_the_database_is_a_failure(site: ArchiveSite) -> None:
    report(site, "cannot write to /data/suprsync.db: database is locked")
    found = findings(site)["archive"]
    assert found.level == "fail"
    assert found.found == "cannot write to /data/suprsync.db: database is locked; 0 files wait"
    assert f"archive  {HOST}: cannot write to /data/suprsync.db: database is locked" in status(site).replace("\n", " ")
    assert metrics(site.client)["smurfq_archive_registering"] == 0


def test_a_registrar_of_another_database_is_a_failure(site: ArchiveSite) -> None:
    report(site, database="/elsewhere.db")
    assert findings(site)["archive"].level == "fail"


def test_all_is_well_while_files_do_not_wait_for_long(site: ArchiveSite) -> None:
    report(site)
    fill(site, waiting=1)
    assert findings(site)["archive"].level == "ok"
    assert metrics(site.client)["smurfq_archive_registering"] == 1
    site.client.delete(site.archive.waiting_key)
    fill(site, waiting=1, age_s=HOUR_S)
    assert findings(site)["archive"].level == "warn"


def test_files_that_could_not_be_registered_are_a_warning_and_in_their_record(site: ArchiveSite) -> None:
    site.records.start(SessionRecord("t1", op_name="run", slot="crate1slot2"))
    site.records.append(Batch("t1", "bridge", 1, [file_registered({"path": "/0", "kind": "data_file"}, 1.0)]))
    fill(site, waiting=1, task_id="t1")
    (listed,) = site.archive.oldest(1)
    site.archive.settle([SettledFile(listed, 2.0, ["/0"], {"not_registered": "/0: gone"}, "/0: gone")], "a database")
    found = findings(site)["archive files"]
    assert found.level == "warn"
    assert found.found == "1 could not be registered; the newest: /0: gone"
    assert "1 could not be registered" in status(site)
    shown = subprocess.run(
        [sys.executable, "-m", "smurfq", "show", "t1"], env=site.environ, capture_output=True, text=True, check=True
    )
    assert "/0  NOT in the archive: /0: gone" in shown.stdout


def test_the_files_of_a_bridge_that_was_renamed_are_a_failure(site: ArchiveSite) -> None:
    fill(site, waiting=2)
    found = findings(site, SMURFQ_BRIDGE_NAME="a new name")
    assert found[f"archive {HOST}"].found == "2 files wait in the list of a bridge that is not in use"
    assert f"SMURFQ_BRIDGE_NAME={HOST} smurfq archive" in found[f"archive {HOST}"].todo
    report(site)
    assert f"archive {HOST}" not in findings(site, SMURFQ_BRIDGE_NAME="a new name"), "its registrar runs"


def test_a_site_without_an_archive_warns_only_of_files_that_wait(site: ArchiveSite) -> None:
    assert findings(site, SMURFQ_ARCHIVE_DATABASE="") == {}
    fill(site, waiting=2)
    assert findings(site, SMURFQ_ARCHIVE_DATABASE="")["archive"].level == "warn"
