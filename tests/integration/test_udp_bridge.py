"""The bridge as a process, with real UDP and a real Valkey."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from smurfq.client import Slot
from smurfq.client.connection import Connection
from smurfq.config import load
from smurfq.core import keys
from smurfq.core.messages import REGISTER_MARK
from smurfq.store.bridge import Counters
from smurfq.store.connection import Client
from smurfq.store.drain import drain
from smurfq.store.feeds import Feeds
from smurfq.store.records import BEGINNING
from smurfq.store.registers import Registers
from smurfq.store.stream_ids import StreamIds
from tests.site.bridge import BRIDGE_KEY, DATAGRAM_BYTES, HOST, SLOT, STREAM_ID, BridgeSite, Wire
from tests.site.eventually import READY_WITHIN_S, WITHIN_S, eventually
from tests.site.ports import free_port
from tests.site.process_group import pause
from tests.site.valkey import Valkey


@pytest.fixture
def site(valkey: Client, valkey_url: str, tmp_path: Path) -> Iterator[BridgeSite]:
    """A site without a bridge yet."""
    with BridgeSite(valkey_url, tmp_path) as site:
        yield site


@pytest.fixture
def live(site: BridgeSite) -> BridgeSite:
    """A site with a bridge, and the task ``t1`` running on the slot."""
    site.start()
    site.begin("t1")
    return site


def test_messages_reach_a_subscriber_the_record_and_celerys_metadata(live: BridgeSite) -> None:
    wire = live.wire()
    wire.send("session_data", {"datafile": "/a.npy"})
    first, *_ = live.records.updates_after({"t1": BEGINNING})["t1"]
    assert first.events[0]["set"]["status"] == "starting"
    second, *_ = live.records.updates_after({"t1": first.position}, block_ms=9000)["t1"]
    assert second.events[0]["set"] == {"datafile": "/a.npy"}
    wire.say("one", "two")
    wire.raw(wire.datagram("session_data", {"x": "@"}).replace(b'"@"', b"NaN"))
    assert live.drain().applied == 4
    record = live.records.read("t1")
    assert record.data == {"datafile": "/a.npy", "x": None}
    assert [text for _, text in record.messages] == ["one", "two"]
    assert (record.lost, record.messages_total) == (0, 2)
    meta = json.loads(live.client.get(keys.meta("t1")))  # type: ignore[arg-type]
    assert meta["status"] == "PROGRESS"
    assert meta["result"]["data"] == record.data


def test_session_data_without_keys_does_not_make_a_record_incomplete(live: BridgeSite) -> None:
    live.wire().send("session_data", {})
    assert live.drain().complete
    eventually(lambda: live.counters().applied == 1)


def test_timestamps_of_sodetlib_become_stages_once(live: BridgeSite) -> None:
    wire = live.wire()
    wire.send("session_data", {"timestamps": [["setup_amps", 1.0]]})
    wire.send("session_data", {"timestamps": [["setup_amps", 1.0], ["noise", 2.0]]})
    live.drain()
    assert live.records.read("t1").stages == [["setup_amps", 1.0], ["noise", 2.0]]


def test_the_largest_datagram_arrives_whole(live: BridgeSite) -> None:
    wire = live.wire()
    room = DATAGRAM_BYTES - len(wire.datagram("session_log", "", seq_no=0, time_s=time.time()))
    datagram = wire.datagram("session_log", "x" * (room - 10))
    assert len(datagram) > DATAGRAM_BYTES - 30
    wire.raw(datagram)
    live.drain()
    assert live.texts("t1") == ["x" * (room - 10)]
    assert len(live.client.get(keys.meta("t1"))) < 5000  # type: ignore[arg-type]  # the snapshot is bounded


def test_bad_input_is_counted_and_logged_in_few_lines(live: BridgeSite) -> None:
    wire, stranger = live.wire(), live.wire("crate9slot9")
    for number in range(500):
        wire.raw(b"\xff{[" + bytes([number % 256]) * 50)
        stranger.say("hello")
    wire.raw(b"[" * 60_000)
    wire.raw(b"")
    wire.send("session_data", [1, 2])
    live.wire("crate1slot3").say("nothing runs here")
    wire.say("good")
    live.drain()
    expected = {"malformed": 503, "unknown_id": 500, "idle": 1, "applied": 2, "failed": 0, "lost": 0}
    eventually(lambda: live.counters().applied == 2)
    counted = live.counters()
    assert {name: getattr(counted, name) for name in expected} == expected
    texts = live.texts("t1")
    assert texts[1] == "good"
    assert "could not be used: [1,2]" in texts[0]
    assert len(live.log_lines("malformed")) <= 2
    assert len(live.log_lines("unknown publisher id.*crate9slot9")) == 1


def test_gaps_copies_and_swaps_are_counted_in_the_record(live: BridgeSite) -> None:
    wire = live.wire()
    datagrams = [wire.datagram("session_log", str(number)) for number in range(10)]
    for number in (0, 1, 3, 2, 2, 4, 7, 9, 9):
        wire.raw(datagrams[number])
    answer = live.drain()
    assert live.texts("t1") == ["0", "1", "3", "2", "4", "7", "9"]
    assert (answer.lost, answer.applied, answer.complete) == (3, 7, False)
    assert live.records.read("t1").lost == 3
    wire.raw(datagrams[5])
    live.drain()
    assert live.records.header("t1").lost == 2
    eventually(lambda: live.counters().duplicate == 2 and live.counters().lost == 2)


def test_several_publishers_of_one_script_do_not_count_as_losses(live: BridgeSite) -> None:
    wires = [live.wire() for _ in range(3)]
    for number in range(30):
        for wire in wires[: 1 + number % 3]:
            wire.say(str(number))
    assert live.drain().lost == 0


def test_a_bridge_that_is_behind_gives_each_message_to_the_task_that_had_sent_it(live: BridgeSite) -> None:
    bridge = live.processes["bridge"]
    wire = live.wire()
    wire.paced = False
    pause(bridge.pid)
    wire.say("of t1")
    live.begin("t2")
    wire.say("of t2")
    live.end()
    wire.say("of nobody")
    live.begin("t3")
    wire.say("of t3")
    live.end()
    bridge.send_signal(signal.SIGCONT)
    live.drain()
    assert {name: live.texts(name) for name in ("t1", "t2", "t3")} == {
        name: [f"of {name}"] for name in ("t1", "t2", "t3")
    }
    eventually(lambda: live.counters().idle == 1)


def test_each_message_goes_to_the_task_that_ran_when_it_was_sent(live: BridgeSite) -> None:
    control, state = live.wire(), live.wire(f"{SLOT}.state")
    live.begin("watch", f"{SLOT}.state")
    for number in range(200):
        control.say(f"first {number}")
        state.say(f"state {number}")
    assert live.drain().applied == 200
    live.begin("t2")
    control.say("second")
    assert live.drain().applied == 1
    live.drain(f"{SLOT}.state")
    assert live.texts("t1") == [f"first {number}" for number in range(200)]
    assert live.texts("watch") == [f"state {number}" for number in range(200)]
    assert live.texts("t2") == ["second"]


def test_snapshots_are_paced_and_the_last_one_shows_the_end(live: BridgeSite) -> None:
    listener = live.client.pubsub(ignore_subscribe_messages=True)
    listener.subscribe(keys.meta("t1"))
    listener.get_message(timeout=WITHIN_S)
    wire = live.wire()
    started = time.monotonic()
    number = 0
    shown: list[int] = []

    def listen(wait_s: float) -> None:
        while (message := listener.get_message(timeout=wait_s)) is not None:
            shown.append(json.loads(message["data"])["result"]["data"]["n"])

    def send_on() -> bool:
        nonlocal number
        for _ in range(10):
            wire.send("session_data", {"n": number})
            number += 1
        listen(0.002)
        return len(set(shown)) >= 4

    def last_is_shown() -> bool:
        listen(0.05)
        return shown[-1] == number - 1

    eventually(send_on)
    eventually(last_is_shown)
    took = time.monotonic() - started
    listener.close()
    assert len(shown) <= 5 * took + 2 < number


def test_drain_of_a_bridge_that_is_not_there_is_over_soon(site: BridgeSite) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(site.address)
        nobody.settimeout(0)
        assert drain(site.client, site.bridge, SLOT) is None
        nobody.recv(1000)
        with pytest.raises(BlockingIOError):  # it was asked once
            nobody.recv(1000)


def test_a_bridge_that_an_outage_kept_from_saying_so_is_waited_for(live: BridgeSite) -> None:
    eventually(live.board.expected)
    bridge = live.processes["bridge"]
    bridge.send_signal(signal.SIGSTOP)
    live.client.delete(BRIDGE_KEY)  # as it expires in an outage
    back = threading.Timer(1.0, lambda: bridge.send_signal(signal.SIGCONT))
    back.start()
    try:
        assert drain(live.client, live.bridge, SLOT, tries=100, wait_s=0.5) is not None
    finally:
        back.join()
    live.stop(bridge)
    assert not live.board.expected(), "one that was stopped is not"


def test_a_bridge_that_is_behind_is_waited_for(live: BridgeSite) -> None:
    bridge = live.processes["bridge"]
    health = eventually(live.board.health)
    pause(bridge.pid)
    back, answered = threading.Timer(1.0, lambda: bridge.send_signal(signal.SIGCONT)), threading.Event()

    def show_backlog() -> None:
        while not answered.wait(0.1):
            live.board.show(replace(health, counters=Counters(buffered=7)))

    shower = threading.Thread(target=show_backlog)
    live.board.show(replace(health, counters=Counters(buffered=7)))
    shower.start()
    back.start()
    try:
        answer = drain(live.client, live.bridge, SLOT, tries=1, wait_s=0.05)
    finally:
        answered.set()
        shower.join()
        back.join()
    assert answer is not None
    assert answer.complete


def test_a_stopped_bridge_has_written_what_it_received(live: BridgeSite) -> None:
    wire = live.wire()
    wire.say(*map(str, range(3000)))
    assert live.stop(live.processes["bridge"]) == 0
    assert live.texts("t1") == [str(number) for number in range(3000)]
    assert not live.board.alive()


def test_a_port_in_use_is_an_error_that_says_who_has_it(live: BridgeSite) -> None:
    first = live.processes["bridge"]
    second = live.start(wait=False)
    assert second.wait(WITHIN_S) == 1
    [line] = live.log_lines("is taken by")
    assert str(live.address[1]) in line
    assert f"process {first.pid} " in line


def test_a_killed_bridges_successor_counts_just_what_was_missed(live: BridgeSite) -> None:
    wire = live.wire()
    wire.say(*map(str, range(100)))
    for number in (100, 101):
        wire.datagram("session_log", str(number))  # numbered, and sent into the void
    wire.say("102")
    assert live.drain().lost == 2
    live.stop(live.processes["bridge"], signal.SIGKILL)
    for number in range(103, 110):
        wire.datagram("session_log", str(number))
    live.start()
    wire.say(*map(str, range(110, 120)))
    assert live.drain().lost == 9
    assert live.records.read("t1").lost == 9
    assert live.texts("t1") == [str(number) for number in [*range(100), 102, *range(110, 120)]]


def test_a_publisher_first_heard_in_the_middle_is_reported_in_the_record(live: BridgeSite) -> None:
    live.wire().send("session_log", "late", seq_no=12)
    assert live.drain().lost == 12
    assert "first heard at its message 12" in live.texts("t1")[0]


def test_datagrams_dropped_by_the_kernel_are_counted_and_logged(
    valkey_url: str, valkey: Client, tmp_path: Path
) -> None:
    with BridgeSite(valkey_url, tmp_path, SMURFQ_BRIDGE_RECEIVE_BUFFER_BYTES="65536") as site:
        bridge = site.start()
        site.begin("t1")
        wire = site.wire()
        wire.say("first")
        site.drain()
        pause(bridge.pid)
        wire.paced = False
        wire.say(*map(str, range(2000)))
        wire.paced = True
        bridge.send_signal(signal.SIGCONT)
        answer = eventually(lambda: drain(site.client, site.bridge, SLOT))
        said = [text for text in site.texts("t1") if "dropped meanwhile" in text]
        assert answer.kernel_dropped > 0
        assert f"{answer.kernel_dropped} by the kernel" in said[0]
        assert not answer.complete
        wire.say("last")
        after = site.drain()
        assert after.lost == 2002 - after.applied > 0


def test_a_full_buffer_drops_the_oldest_and_the_record_says_how_many(tmp_path: Path) -> None:
    with (
        Valkey(tmp_path / "valkey", appendfsync="always") as valkey,
        BridgeSite(valkey.url, tmp_path, SMURFQ_BRIDGE_BUFFER_MESSAGES="1000") as site,
    ):
        site.start()
        site.begin("t1")
        wire = site.wire()
        wire.say("first")
        site.drain()
        valkey.stop()
        wire.say(*map(str, range(20_000)))
        valkey.start()
        answer = site.drain()
        assert site.texts("t1")[-1] == "19999"
        assert answer.lost == 20_001 - answer.applied > 10_000
        assert answer.buffered_dropped + answer.kernel_dropped == answer.lost


def test_nothing_is_lost_or_doubled_while_redis_is_away(tmp_path: Path) -> None:
    with Valkey(tmp_path / "valkey", appendfsync="always") as valkey, BridgeSite(valkey.url, tmp_path) as site:
        site.start()
        site.begin("t1")
        wire = site.wire()
        sent = 0
        for _ in range(3):
            wire.say(*map(str, range(sent, sent + 3000)))
            sent += 3000
            valkey.stop()  # most likely in the middle of the above
            wire.say(*map(str, range(sent, sent + 500)))
            sent += 500
            valkey.start()
            answer = site.drain()
            assert (answer.applied, answer.lost) == (sent, 0)
        assert site.texts("t1") == [str(number) for number in range(sent)]
        assert site.records.header("t1").messages_total == sent
        assert 1 <= len(site.log_lines("Redis is away")) <= 6
        assert len(site.log_lines("Redis is back")) == len(site.log_lines("Redis is away"))


def test_messages_buffered_while_redis_was_away_go_to_the_run_of_that_time(tmp_path: Path) -> None:
    with Valkey(tmp_path / "valkey", appendfsync="always") as valkey, BridgeSite(valkey.url, tmp_path) as site:
        bridge = site.start()
        site.begin("t1")
        wire = site.wire()
        wire.say("one")
        site.drain()
        pause(bridge.pid)
        wire.say("two")
        site.begin("t2")
        wire.say("three")
        bridge.send_signal(signal.SIGCONT)
        site.drain()
        assert site.texts("t1") == ["one", "two"]
        assert site.texts("t2") == ["three"]


def test_a_bridge_stops_in_bounded_time_though_redis_is_away(tmp_path: Path) -> None:
    with Valkey(tmp_path / "valkey", appendfsync="always") as valkey, BridgeSite(valkey.url, tmp_path) as site:
        bridge = site.start()
        site.begin("t1")
        valkey.stop()
        site.wire().say("never written")
        assert site.stop(bridge) == 0
        assert site.log_lines("Redis did not come back")


def test_a_record_that_redis_rejects_does_not_harm_the_others(live: BridgeSite) -> None:
    live.begin("t2", "crate1slot3")
    live.client.set(keys.events("t1"), "not a stream")
    broken, good = live.wire(), live.wire("crate1slot3")
    for number in range(50):
        broken.say(str(number))
        good.say(str(number))
    live.drain("crate1slot3")
    assert live.texts("t2") == [str(number) for number in range(50)]
    eventually(lambda: live.counters().refused == 50)
    assert live.log_lines("rejected by Redis")


def test_the_relay_forwards_every_datagram_untouched(valkey: Client, valkey_url: str, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as monitor:
        monitor.bind(("127.0.0.1", 0))
        monitor.settimeout(WITHIN_S)
        with BridgeSite(valkey_url, tmp_path, SMURFQ_BRIDGE_RELAY=f"127.0.0.1:{monitor.getsockname()[1]}") as site:
            site.start()
            site.begin("t1")
            wire = site.wire()
            datagrams = [wire.datagram("session_log", str(number)) for number in range(50)]
            datagrams += [b"\xff not a message", wire.datagram("session_log", "x" * 60_000)]
            for datagram in datagrams[:30]:
                wire.raw(datagram)
            site.drain()
            for datagram in datagrams[30:]:
                wire.raw(datagram)
            assert [monitor.recv(65_536) for _ in datagrams] == datagrams
            eventually(lambda: site.counters().relayed == len(datagrams))


def test_a_relay_to_the_bridge_itself_is_rejected(valkey: Client, valkey_url: str, tmp_path: Path) -> None:
    with BridgeSite(valkey_url, tmp_path) as site:
        site.environ["SMURFQ_BRIDGE_RELAY"] = f"127.0.0.1:{site.address[1]}"
        assert site.start(wait=False).wait(WITHIN_S) == 1
        assert site.log_lines("bridge.relay is the bridge's own address")


def test_counters_are_served_to_prometheus(valkey: Client, valkey_url: str, tmp_path: Path) -> None:
    port = free_port()
    with BridgeSite(valkey_url, tmp_path, SMURFQ_BRIDGE_METRICS_PORT=str(port)) as site:
        site.start()
        site.begin("t1")
        site.wire().say("one", "two")
        site.drain()
        feeds = Feeds(valkey)
        feeds.append("tracking_results", "crate1slot2", 100.0, {"alarm_band0": 0, "gooddet_band0": None})
        feeds.append("tracking_results", "crate1slot2", 200.5, {"alarm_band0": 1, "gooddet_band0": 17})
        feeds.append("tracking_results", "crate1slot3", 300.0, {"alarm_band0": 0, "gooddet_band0": None})
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            text = answer.read().decode()
        assert f'smurfq_bridge_applied_total{{bridge="{HOST}"}} 2.0' in text
        assert 'smurfq_tracking_results{field="alarm_band0",slot="crate1slot2"} 1.0' in text
        assert 'smurfq_tracking_results{field="gooddet_band0",slot="crate1slot2"} 17.0' in text
        assert 'smurfq_tracking_results{field="gooddet_band0",slot="crate1slot3"}' not in text
        assert 'smurfq_tracking_results_timestamp_seconds{slot="crate1slot2"} 200.5' in text


_REAL = """
import sys
from pysmurf.client.util.pub import Publisher
publisher = Publisher("tune")
for number in range(10_000):
    publisher.publish({"n": number, f"k{number % 100}": number}, "session_data")
publisher.publish("x" * 70_000, "session_log")
publisher.register_file("/data/x.npy", "tuning", "npy", plot=False)
"""


@pytest.mark.slot
def test_a_burst_of_the_real_publisher_arrives_whole(live: BridgeSite) -> None:
    environ = {
        "SMURFPUB_BACKEND": "udp",
        "SMURFPUB_ID": SLOT,
        "SMURFPUB_UDP_HOST": live.address[0],
        "SMURFPUB_UDP_PORT": str(live.address[1]),
    }
    subprocess.run([sys.executable, "-c", _REAL], env={**live.environ, **environ}, check=True, timeout=READY_WITHIN_S)
    answer = live.drain()
    # start, 10,000, the error that takes the place of the oversized one (whose number is spent), the file, stop
    assert (answer.applied, answer.kernel_dropped) == (10_004, 0)
    record = live.records.read("t1")
    assert record.data["n"] == 9999
    assert [file["path"] for file in record.files] == ["/data/x.npy"]
    assert record.degraded
    assert any("dropped large UDP packet" in text for _, text in record.messages)
    assert answer.lost == 1


@pytest.mark.parametrize("name", [STREAM_ID, SLOT, "crate1_slot2"])
def test_a_message_under_each_name_of_a_slot_reaches_the_run_of_its_lane(live: BridgeSite, name: str) -> None:
    live.begin("t2", f"{SLOT}.state")
    live.wire(name).say("control")
    live.wire(f"{name}.state").say("state")
    assert live.drain().applied == live.drain(f"{SLOT}.state").applied == 1
    assert live.texts("t1") == ["control"]
    assert live.texts("t2") == ["state"]
    assert live.counters().unknown_id == 0


def test_the_bridge_learns_the_stream_ids_that_workers_report(live: BridgeSite) -> None:
    live.begin("t3", "crate1slot3")
    ids = StreamIds(live.client)
    ids.report("crate1slot3", "ufm_uv38")
    first, second = live.wire("ufm_uv38"), live.wire(STREAM_ID)

    def reaches(task_id: str, wire: Wire, text: str) -> bool:
        wire.say(text)
        return text in live.texts(task_id)

    eventually(lambda: reaches("t3", first, "one"))
    ids.report(SLOT, "ufm_uv38")  # the modules change places
    ids.report("crate1slot3", STREAM_ID)
    eventually(lambda: reaches("t3", second, "two"))
    assert reaches("t1", first, "three") or live.drain().applied
    assert "three" in live.texts("t1")


def test_a_g3_file_of_the_smurf_server_belongs_to_the_run_that_streamed_it(live: BridgeSite) -> None:
    server = live.wire(f"STREAMER:{STREAM_ID}", "undeclared")
    server.send("start", {})
    began = int(time.time())
    paths = [f"/g3/{STREAM_ID}/{session}_00{number}.g3" for session, number in ((began, 0), (began, 1), (1000, 0))]
    server.send("g3_file", {"path": paths[0], "archive_name": "timestreams"})
    eventually(lambda: live.records.files("t1"))
    live.end()  # the file that was open then is closed later
    server.send("g3_file", {"path": paths[1], "archive_name": "timestreams"})
    server.send("g3_file", {"path": paths[2], "archive_name": "timestreams"})
    feeds = Feeds(live.client)
    eventually(lambda: len(feeds.latest("g3_files", 9)) == 3)
    assert [file["path"] for file in live.records.files("t1")] == paths[:2]
    blocks = feeds.latest("g3_files", 9, SLOT)[::-1]
    assert [(block.data["path"], block.data["record"]) for block in blocks] == [
        (paths[0], "t1"),
        (paths[1], "t1"),
        (paths[2], None),
    ]
    assert (live.counters().unknown_id, live.counters().idle) == (0, 0)
    assert live.texts("t1") == []


TEMPERATURE = "AMCc.FpgaTopLevel.AmcCarrierCore.AxiSysMonUltraScale.Temperature"


def test_registers_of_the_smurf_server_are_kept_beside_the_records(site: BridgeSite) -> None:
    port = free_port()
    limits = {"SMURFQ_REGISTERS_MAX": '{"fpga_temperature_c": 85}', "SMURFQ_REGISTERS_FEED_INTERVAL_S": "0.1"}
    site.environ.update(SMURFQ_BRIDGE_METRICS_PORT=str(port), **limits)
    site.start()
    site.begin("t1")
    before = site.events("t1")
    server = site.wire(f"STREAMER:{STREAM_ID}", "PySmurf_Server")
    server.send("start", {})
    for value in (70.0, 91.5):
        server.send("metadata", {"path": TEMPERATURE, "value": value, "type": "float"})
    server.send("metadata", {"path": "AMCc.Mask", "value": "x" * 9000, "type": "str"})
    server.send("metadata", {"path": "AMCc.Old", "value": "as it was", "type": "str"})
    server.send("metadata", ["of the wrong type"])
    server.next += 7  # lost messages of a server make no record incomplete
    site.wire().send("metadata", {"path": "AMCc.Script", "value": 1, "type": "int"})
    slot = Slot(SLOT, connection=Connection(load(site.environ)))
    eventually(lambda: len(slot.registers()) == 3)
    assert slot.registers()[TEMPERATURE][:2] == (91.5, "float")
    assert slot.registers().keys() == {TEMPERATURE, "AMCc.Old", "AMCc.Script"}
    alarms = eventually(lambda: slot.status().alarms)
    assert [(alarm.quantity, alarm.value, alarm.limit) for alarm in alarms] == [("fpga_temperature_c", 91.5, 85.0)]
    feeds = Feeds(site.client)
    (block,) = eventually(lambda: feeds.last("registers"))
    assert (block.slot, block.data[TEMPERATURE], block.data["AMCc.Old"]) == (SLOT, 91.5, "as it was")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        told = answer.read().decode()
    assert f'smurfq_register{{quantity="fpga_temperature_c",slot="{SLOT}"}} 91.5' in told
    assert f'smurfq_register_alarm{{quantity="fpga_temperature_c",slot="{SLOT}"}} 1.0' in told
    server.send("metadata", {"path": TEMPERATURE, "value": 70, "type": "int"})
    eventually(lambda: not slot.status().alarms)
    eventually(lambda: feeds.last("registers")[0].data == {TEMPERATURE: 70})
    answer = site.drain()
    assert (answer.lost, answer.unrecorded) == (0, 0)
    assert site.events("t1") == before
    eventually(lambda: site.counters().registers == 6)
    assert (site.counters().malformed, site.counters().lost) == (1, 0)


_REAL_SERVER = """
import importlib.util, json, os
from pathlib import Path
from types import SimpleNamespace
import numpy as np
folder = Path(importlib.util.find_spec("pysmurf").submodule_search_locations[0])
found = importlib.util.spec_from_file_location("server", folder / "core/utilities/_SmurfPublisher.py")
module = importlib.util.module_from_spec(found)  # its package needs rogue
found.loader.exec_module(module)
listeners = {}
class Variable:
    path = PATH
    def inGroup(self, group):
        return True
    def addListener(self, listener):
        listeners[self.path] = listener
publisher = module.SmurfPublisher(SimpleNamespace(variableList=[Variable()]))
for value in (70.5, np.arange(3), True):
    listeners[PATH](PATH, SimpleNamespace(value=value))
"""


@pytest.mark.slot
def test_the_real_server_s_registers_are_recognized(live: BridgeSite) -> None:
    received = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    received.bind(("127.0.0.1", 0))
    received.settimeout(READY_WITHIN_S)
    environ = {
        "SMURFPUB_BACKEND": "udp",
        "SMURFPUB_ID": f"STREAMER:{STREAM_ID}",
        "SMURFPUB_UDP_HOST": "127.0.0.1",
        "SMURFPUB_UDP_PORT": str(received.getsockname()[1]),
    }
    code = _REAL_SERVER.replace("PATH", repr(TEMPERATURE))
    subprocess.run([sys.executable, "-c", code], env={**live.environ, **environ}, check=True, timeout=READY_WITHIN_S)
    wire = live.wire()
    with received:
        start, *values = [received.recv(65536) for _ in range(4)]
    assert REGISTER_MARK not in start
    for datagram in values:
        assert REGISTER_MARK in datagram
        wire.raw(datagram)
    registers = Registers(live.client)
    eventually(lambda: registers.read(SLOT).get(TEMPERATURE, (None,))[0] is True)
    eventually(lambda: live.counters().registers == 3)
    assert live.events("t1")[1:] == []
