"""The bridge under load: many publishers, large datagrams, junk, a slow Redis, an outage, a restart.

Nothing is lost that neither the kernel nor the bridge's own buffer has counted, and the record says what is missing.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from smurfq.store.drain import DrainAnswer
from tests.site.bridge import BridgeSite, Wire, waiting_bytes
from tests.site.eventually import WITHIN_S, eventually
from tests.site.valkey import Valkey

pytestmark = pytest.mark.timeout(1200)
SLOTS = [f"crate1slot{number}" for number in range(1, 7)]
SMALL, LARGE = 2000, 40  # messages of each publisher; the large ones have 60 kB
_PUBLISHERS = f"""
import os, sys
from pysmurf.client.util.pub import Publisher
children = []
for slot in {SLOTS!r}:
    pid = os.fork()
    if pid == 0:
        os.environ["SMURFPUB_ID"] = slot
        publisher = Publisher("load")
        for number in range({SMALL}):
            publisher.publish(f"small {{number}}", "session_log")
            if number % ({SMALL} // {LARGE}) == 0:
                publisher.publish({{"large": "x" * 60_000, "number": number}}, "session_data")
        os.write(1, b".")
        os.read(0, 1)  # the flood is over: the last number is certain to arrive, and shows what is missing before it
        publisher.publish("last", "session_log")
        os._exit(0)
    children.append(pid)
codes = [os.waitpid(pid, 0)[1] for pid in children]
sys.exit(any(codes))
"""


@contextmanager
def site_of(folder: Path, **variables: str) -> Iterator[tuple[Valkey, BridgeSite]]:
    """A Valkey and a site of all slots, a task running on each, without a bridge yet."""
    with (
        Valkey(folder / "valkey") as valkey,
        BridgeSite(valkey.url, folder, SMURFQ_SLOTS=",".join(SLOTS), **variables) as site,
    ):
        for slot in SLOTS:
            site.begin(f"task-{slot}", slot)
        yield valkey, site


@contextmanager
def junk(address: tuple[str, int]) -> Iterator[list[int]]:
    """A flood of what is no message, from a thread; the list has how many were sent."""
    stop, sent = threading.Event(), [0]
    kinds = [b"", b"\xff\xfe junk", b"[1, 2, 3]", b'{"type": "session_log"}', b"x" * 60_000, b'{"id": "' + b"[" * 500]

    def flood() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            while not stop.wait(0.001):
                for kind in kinds:
                    sender.sendto(kind, address)
                    sent[0] += 1

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        yield sent
    finally:
        stop.set()
        thread.join()


def accounts(site: BridgeSite, task_id: str, sent: int, answer: DrainAnswer) -> set[str]:
    """The texts that arrived, each once; what is missing of ``sent`` is counted, and said in the record."""
    texts = [text for text in site.texts(task_id) if text.startswith(("small", "last"))]
    assert len(texts) == len(set(texts)), "none twice"
    assert answer.applied + answer.lost == sent, "what is missing is known by its numbers"
    assert site.records.header(task_id).lost == answer.lost
    assert answer.lost <= answer.kernel_dropped + answer.buffered_dropped, "only what was counted as dropped"
    if answer.kernel_dropped or answer.buffered_dropped:
        assert not answer.complete
        assert any("dropped meanwhile" in text for text in site.texts(task_id)), "said in the record"
    return set(texts)


@pytest.mark.slot
def test_real_publishers_of_all_slots_at_once_amid_junk(tmp_path: Path) -> None:
    with site_of(tmp_path) as (_, site):
        site.start()
        environ = {
            **site.environ,
            "SMURFPUB_BACKEND": "udp",
            "SMURFPUB_UDP_HOST": site.address[0],
            "SMURFPUB_UDP_PORT": str(site.address[1]),
        }
        publishing = subprocess.Popen(
            [sys.executable, "-c", _PUBLISHERS], env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        with junk(site.address) as junk_sent:
            assert publishing.stdout is not None
            assert publishing.stdout.read(len(SLOTS)) == b"." * len(SLOTS)
        eventually(lambda: waiting_bytes(site.address[1]) == 0, what="the bridge has read all")
        publishing.communicate(timeout=60)
        assert publishing.returncode == 0
        for slot in SLOTS:
            answer = site.drain(slot)
            texts = accounts(site, f"task-{slot}", SMALL + LARGE + 2, answer)  # and the Publisher's own start
            assert "last" in texts
            assert answer.lost > 0 or len(texts) == SMALL + 1
        eventually(lambda: site.counters().buffered == 0)
        counters = site.counters()
        assert 0 < counters.malformed <= junk_sent[0]
        assert counters.received + counters.kernel_dropped >= junk_sent[0] + len(SLOTS) * (SMALL + LARGE + 2)
        lived_s = time.time() - psutil.Process(site.processes["bridge"].pid).create_time()
        lines = site.log_lines("malformed datagram")
        assert 1 <= len(lines) <= 2 + lived_s / 10, "one line in ten seconds, whatever comes"


def test_a_slow_redis_loses_nothing(tmp_path: Path) -> None:
    """It answers each command late, and now and then nothing for a while."""
    with site_of(tmp_path) as (_, site):
        site.start()
        wire = site.wire(SLOTS[0])
        for number in range(4000):
            if number % 1000 == 500:
                site.client.execute_command("CLIENT", "PAUSE", 700, "ALL")
            wire.say(f"small {number}")
            if number % 20 == 0:
                time.sleep(0.005)
        texts = accounts(site, f"task-{SLOTS[0]}", 4000, site.drain(SLOTS[0]))
        assert len(texts) == 4000 or site.counters().kernel_dropped


def test_memory_is_bounded_in_an_outage_and_a_flood(tmp_path: Path) -> None:
    room = 24 << 20
    with site_of(tmp_path, SMURFQ_BRIDGE_BUFFER_BYTES=str(room)) as (valkey, site):
        bridge = psutil.Process(site.start().pid)
        wire, silent = site.wire(SLOTS[0]), site.wire(SLOTS[1])
        wire.say("small before")
        site.drain(SLOTS[0])
        wire.send("session_data", {"large": "x" * 60_000})
        before = bridge.memory_info().rss
        valkey.stop()
        highest, sent = 0, 2
        for _ in range(50):  # 120 MB of large ones, and hundreds of others between
            for _ in range(40):
                wire.send("session_data", {"large": "x" * 60_000})
            sent += 40
            for other in range(12):  # as of a publisher that begins anew each time, far on in its numbers
                stranger = Wire(site.address, SLOTS[1], f"stranger {sent} {other}")
                stranger.send("session_log", "small", seq_no=9000)
                stranger.close()
            highest = max(highest, bridge.memory_info().rss)
            time.sleep(0.01)
        wire.say("last")
        silent.say("last")
        valkey.start()
        answer = site.drain(SLOTS[0])
        highest = max(highest, bridge.memory_info().rss)
        # its buffer, the receiver's (256 datagrams of 64 kB), and the batch that it holds and makes JSON of
        assert highest - before < room + (16 << 20) + (48 << 20), f"{(highest - before) >> 20} MB more"
        texts = accounts(site, f"task-{SLOTS[0]}", sent + 1, answer)
        assert answer.lost > 500
        assert answer.buffered_dropped > 0
        assert "last" in texts
        assert "small before" in texts
        assert len(site.log_lines("Redis is away")) <= 3


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_bridge_started_again_while_messages_flow_says_what_was_missed(tmp_path: Path, number: int) -> None:
    with site_of(tmp_path) as (_, site):
        first = site.start()
        wire, sent = site.wire(SLOTS[0]), 0
        stop = threading.Event()

        def publish() -> None:
            nonlocal sent
            while not stop.wait(0.002):
                with contextlib.suppress(ConnectionRefusedError):  # nobody listens; the number is spent all the same
                    wire.say(f"small {sent}", f"small {sent + 1}")
                sent = wire.next

        thread = threading.Thread(target=publish)
        thread.start()
        try:
            eventually(lambda: site.counters().applied > 200)
            os.kill(first.pid, number)
            first.wait(WITHIN_S)
            before = sent
            eventually(lambda: sent > before + 100, WITHIN_S, "messages into the void")
            site.start()
            before = sent
            eventually(lambda: sent > before + 200, WITHIN_S, "messages to the second")
        finally:
            stop.set()
            thread.join()
        wire.say("last")
        answer = site.drain(SLOTS[0])
        texts = [text for text in site.texts(f"task-{SLOTS[0]}") if text.startswith(("small", "last"))]
        assert len(texts) == len(set(texts))
        assert texts[-1] == "last"
        lost = site.records.header(f"task-{SLOTS[0]}").lost
        assert lost == answer.lost >= 100
        assert len(texts) + lost == sent + 1
        assert not answer.complete
