"""The bridge's writer, if the connection is lost at the worst moment."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator

import pytest

from smurfq.bridge.complaints import Complaints
from smurfq.bridge.redis_retry import RedisRetry
from smurfq.bridge.writer import Writer
from smurfq.core import keys, session
from smurfq.core.strands import Position
from smurfq.store import Records, connect
from smurfq.store.archive_list import ArchiveList, FileMessage
from smurfq.store.bridge import Positions
from smurfq.store.connection import Client
from tests.site.valkey import Valkey

LOG = logging.getLogger("test")
SOURCE = (b"\x01\x02", "host", "script", "crate1slot2")


class CuttingProxy:
    """Forwards to Redis; once told to, it takes one write there, keeps the answer, and cuts the connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.cut_next = False
        self.cuts = 0
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10.0)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._port)) as server:
            while request := client.recv(1 << 20):
                while not request.endswith(b"\r\n"):
                    request += client.recv(1 << 20)
                server.sendall(request)
                answer = server.recv(1 << 20)
                if self.cut_next and b"EVALSHA" in request:
                    self.cut_next = False
                    self.cuts += 1
                    return
                client.sendall(answer)


def writer_of(client: Client, complaints: Complaints | None = None) -> Writer:
    """A writer to the Redis of ``client``."""
    retry = RedisRetry(LOG, threading.Event(), 1.0)
    return Writer(client, Records(client, 3600), Positions(client, "here"), retry, complaints or Complaints(LOG))


@pytest.fixture
def proxy(valkey_server: Valkey) -> Iterator[CuttingProxy]:
    proxy = CuttingProxy(valkey_server.port)
    yield proxy
    proxy.close()


def test_a_batch_whose_answer_was_lost_is_not_written_again(valkey: Client, proxy: CuttingProxy) -> None:
    client = connect(f"redis://127.0.0.1:{proxy.port}/0", retries=0)
    complaints = Complaints(LOG)
    writer = writer_of(client, complaints)
    writer.write([("t1", [session.message("before", 1.0)])], {})
    proxy.cut_next = True
    both = [("t1", [session.message("during", 2.0)]), ("t2", [session.message("during", 2.0)])]
    assert writer.write(both, {SOURCE: Position(3, 2.0)}) == set()
    writer.write([("t1", [session.message("after", 3.0)])], {})
    client.close()
    assert proxy.cuts == 1
    there = Records(valkey, 3600)
    assert [event["text"] for event in there.tail("t1")] == ["before", "during", "after"]
    assert [event["text"] for event in there.tail("t2")] == ["during"]
    assert there.header("t1").messages_total == 3
    assert valkey.hgetall(keys.bridge_positions("here")) == {'["0102","host","script","crate1slot2"]': "[3,2.0]"}


def test_the_archive_list_gets_the_files_of_a_batch_whenever_its_events_are_written(
    valkey: Client, proxy: CuttingProxy
) -> None:
    client = connect(f"redis://127.0.0.1:{proxy.port}/0", retries=0)
    archive = ArchiveList(client, "here")
    retry = RedisRetry(LOG, threading.Event(), 1.0)
    positions = Positions(client, "here")
    writer = Writer(client, Records(client, 3600), positions, retry, Complaints(LOG), archive)
    files = [FileMessage("ufm_mv9", {"path": f"/{number}.g3"}, 1.0, None) for number in range(2)]
    events = [("t1", [session.message("text", 1.0)])]
    assert writer.write(events, {}, {"runs": "t2"}, files=files) is None
    assert archive.oldest(9) == []
    proxy.cut_next = True
    assert writer.write(events, {}, files=files) == set()
    assert proxy.cuts == 1
    assert [listed.message for listed in ArchiveList(valkey, "here").oldest(9)] == files
    client.close()


def test_a_full_redis_is_waited_for_and_loses_nothing(valkey: Client, caplog: pytest.LogCaptureFixture) -> None:
    client = connect(f"redis://127.0.0.1:{valkey.get_connection_kwargs()['port']}/0", retries=0)
    writer = Writer(
        client,
        Records(client, 3600),
        Positions(client, "here"),
        RedisRetry(LOG, threading.Event(), 1.0),
        Complaints(LOG),
    )
    valkey.config_set("maxmemory", "1mb")
    relief = threading.Timer(0.5, lambda: valkey.config_set("maxmemory", "0"))
    relief.start()
    try:
        assert writer.write([("t1", [session.message("text", 1.0)])], {}) == set()
    finally:
        relief.join()
        valkey.config_set("maxmemory", "0")
        client.close()
    assert [event["text"] for event in Records(valkey, 3600).tail("t1")] == ["text"]
    assert "out of memory and does not accept writes" in caplog.text


def test_nothing_is_written_where_something_else_runs_than_expected(valkey: Client) -> None:
    records = Records(valkey, 3600)
    writer = writer_of(valkey)
    events = [("t1", [session.message("text", 1.0)])]
    valkey.set("runs", "t1")
    assert writer.write(events, {SOURCE: Position(1, 1.0)}, {"runs": "t2"}) is None
    assert writer.write(events, {SOURCE: Position(1, 1.0)}, {"runs": ""}) is None
    assert writer.write(events, {SOURCE: Position(1, 1.0)}, {"runs": "t1", "nothing": "t1"}) is None
    assert not records.exists("t1")
    assert not valkey.exists(keys.bridge_positions("here"))
    assert writer.write(events, {SOURCE: Position(1, 1.0)}, {"runs": "t1", "nothing": ""}) == set()
    assert [event["text"] for event in records.tail("t1")] == ["text"]


def test_a_command_too_long_for_a_script_is_written_all_the_same(valkey: Client) -> None:
    records = Records(valkey, 3600)
    writer = writer_of(valkey)
    wide = {f"key{number}": number for number in range(5000)}
    events = [("t1", [session.data_set(wide, 1.0)])]
    assert writer.write(events, {}, {"runs": "t1"}) is None
    assert writer.write(events, {}, {"runs": ""}) == set()
    assert records.data("t1") == wide
