"""The archive as a site has it: messages over UDP, the bridge and the registrar as processes, and socs's database."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from smurfq.store.connection import Client
from tests.site.archive import ArchiveSite
from tests.site.eventually import READY_WITHIN_S, eventually
from tests.site.valkey import Valkey

pytest.importorskip("socs", reason="needs socs (pip install smurfq[archive])")


@pytest.fixture
def site(valkey: Client, valkey_url: str, tmp_path: Path) -> Iterator[ArchiveSite]:
    """A site with a bridge, and without a registrar yet."""
    with ArchiveSite(valkey_url, tmp_path) as site:
        site.start()
        yield site


def test_files_of_runs_and_of_other_scripts_are_registered_in_order(site: ArchiveSite) -> None:
    site.start_registrar()
    expected = site.announce("before.txt")
    site.await_rows(expected)
    site.begin("t1")
    expected += site.announce("a.txt", "1795862401_000.g3", "b.txt")
    site.await_rows(expected)
    files = site.records.read("t1").files
    assert [file["remote_path"] for file in files] == expected[1:]
    assert all(file["registered"] > 0 for file in files)
    assert site.drain().complete


def test_messages_wait_for_a_registrar_and_their_number_is_known(site: ArchiveSite) -> None:
    expected = site.announce(*(f"{number}.txt" for number in range(60)))
    eventually(lambda: site.state().waiting == 60)
    state = site.state()
    assert state.registrar is None
    assert state.oldest is not None
    assert abs(time.time() - state.oldest) < 60.0
    site.start_registrar()
    site.await_rows(expected)
    assert site.state().registered == 60


def test_a_site_without_an_archive_keeps_no_messages(valkey: Client, valkey_url: str, tmp_path: Path) -> None:
    with ArchiveSite(valkey_url, tmp_path, SMURFQ_ARCHIVE_DATABASE="") as site:
        site.start()
        site.begin("t1")
        site.announce("a.txt")
        eventually(lambda: site.records.read("t1").files)
        assert site.state().waiting == 0
        assert site.start_registrar(wait=False).wait(READY_WITHIN_S) == 1
        assert "archive.database is not set" in site.log("archive")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_restarts_of_the_registrar_and_the_bridge_lose_and_double_nothing(
    valkey: Client, valkey_url: str, tmp_path: Path, number: int
) -> None:
    with ArchiveSite(valkey_url, tmp_path) as site:
        site.keep_socket()
        site.start()
        _restart_and_announce(site, number)


def _restart_and_announce(site: ArchiveSite, number: int) -> None:
    expected = []
    for round_number in range(2):
        registrar = site.start_registrar()
        expected += site.announce(*(f"{round_number}-{number}.txt" for number in range(40)))
        eventually(lambda: len(site.rows()) > 40 * round_number, what="the registrar is at work")
        site.stop(registrar, signal.SIGKILL)
        eventually(lambda: site.counters().buffered == 0, what="the bridge has written what it received")
        site.stop(site.processes["bridge"], number)
        expected += site.announce(*(f"{round_number}-meanwhile-{number}.txt" for number in range(20)))
        site.start()
    site.start_registrar()
    site.await_rows(expected)
    assert site.state().registered == len(expected)


def test_a_second_registrar_stands_by_and_takes_over(site: ArchiveSite) -> None:
    first = site.start_registrar()
    second = site.start_registrar(wait=False)
    eventually(lambda: "stands by" in site.log("archive"), 60.0)
    expected = site.announce("a.txt")
    site.await_rows(expected)
    site.stop(first)
    expected += site.announce("b.txt")
    site.await_rows(expected)
    assert site.state().registrar is not None
    assert site.stop(second) == 0
    assert site.state().registrar is None


def test_a_locked_database_is_reported_until_it_can_be_written(site: ArchiveSite) -> None:
    site.start_registrar()
    expected = site.announce("a.txt")
    site.await_rows(expected)
    with closing(sqlite3.connect(site.database)) as other:
        other.execute("BEGIN IMMEDIATE")
        expected += site.announce("b.txt")
        eventually(lambda: "database is locked" in (site.problem() or ""), what="the registrar reports it")
        assert site.state().waiting == 1
    site.await_rows(expected)
    eventually(lambda: site.problem() is None)
    assert site.log("archive").count("database is locked") == 1


def test_an_outage_of_redis_loses_and_doubles_nothing(tmp_path: Path) -> None:
    (tmp_path / "valkey").mkdir()
    with Valkey(tmp_path / "valkey") as server, ArchiveSite(server.url, tmp_path) as site:
        site.start()
        site.start_registrar()
        expected = site.announce(*(f"before-{number}.txt" for number in range(30)))
        server.stop(signal.SIGKILL)
        expected += site.announce(*(f"during-{number}.txt" for number in range(30)))
        eventually(lambda: "Redis is away" in site.log("archive"), 60.0)
        server.start()
        expected += site.announce("after.txt")
        site.await_rows(expected)
        assert site.log("archive").count("Redis is away") == site.log("archive").count("Redis is back after") == 1


def test_a_list_that_redis_rejects_is_said_and_the_record_is_written_all_the_same(site: ArchiveSite) -> None:
    site.client.set(site.archive.waiting_key, "no stream")
    site.begin("t1")
    site.announce("a.txt")
    eventually(lambda: site.log_lines("rejected by Redis"), what="the bridge says so")
    assert len(site.records.read("t1").files) == 1
    site.client.delete(site.archive.waiting_key)
