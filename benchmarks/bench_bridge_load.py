"""What the bridge delivers in bad times: many slots at once, junk, an outage of Redis, its own death, a flood."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks import peer
from benchmarks.figures import Row, Table
from benchmarks.site import SCRIPTS, SLOT, SLOTS
from tests.site.bridge import BridgeSite
from tests.site.eventually import eventually
from tests.site.valkey import Valkey

_EACH = 5_000
_RATE, _SECONDS, _AWAY_S = 1_000, 30, 20.0
_JUNK = 5_000
_ROOM = 64 << 20
_WITHIN_S = 300.0
_BAD = (b"", b"\xff junk", b"[1, 2]", b'{"type": "session_log"}', b"x" * 9_000)


def measure() -> Table:
    """One row a kind of trouble."""
    rows = [
        _six_slots("6 slots at once, 5,000 messages each", junk=False),
        _six_slots("the same with a flood of junk datagrams", junk=True),
        _redis_away(),
        _bridge_killed(),
        _bad_datagrams(),
        _memory(),
    ]
    remarks = [
        "The real Publisher sends to a bridge with its own Valkey. The number of missing messages is the",
        "records' `lost`. It equals the number sent minus the number that arrived, unless the row says",
        "otherwise.",
    ]
    return Table("The bridge under load and faults", rows, remarks)


@contextmanager
def _site(**variables: str) -> Iterator[tuple[Valkey, BridgeSite]]:
    with (
        tempfile.TemporaryDirectory(prefix="smurfq-bench-") as folder,
        Valkey(Path(folder) / "valkey") as valkey,
        BridgeSite(valkey.url, Path(folder), SMURFQ_SLOTS=",".join(SLOTS), **variables) as site,
    ):
        site.start()
        for slot in SLOTS:
            site.begin(f"task-{slot}", slot)
        yield valkey, site


def _publishing(site: BridgeSite, script: str, *arguments: object) -> subprocess.Popen[str]:
    environ = {
        **site.environ,
        "SMURFPUB_BACKEND": "udp",
        "SMURFPUB_ID": SLOT,
        "SMURFPUB_UDP_HOST": site.address[0],
        "SMURFPUB_UDP_PORT": str(site.address[1]),
    }
    command = [sys.executable, str(SCRIPTS / script), *map(str, arguments)]
    return subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)


def _arrived(site: BridgeSite, slot: str = SLOT) -> tuple[int, int]:
    """How many different messages are in a slot's record, and how many it knows to be missing."""
    site.drain(slot)
    numbers = {text.split()[0] for text in site.texts(f"task-{slot}") if text[:1].isdigit()}
    return len(numbers), site.records.header(f"task-{slot}").lost


def _told(delivered: int, lost: int, sent: int) -> str:
    text = f"{delivered:,} of {sent:,}"
    if delivered == sent:
        return text
    return f"{text}, {lost:,} recorded as missing" + ("" if delivered + lost == sent else ": NOT ALL OF THEM")


def _six_slots(name: str, *, junk: bool) -> Row:
    with _site() as (_, site):
        publishing = _publishing(site, "many_publishers.py", _EACH, *SLOTS)
        sent = [0]
        stop = threading.Event()
        flood = threading.Thread(target=_send_junk, args=(site.address, stop, sent))
        if junk:
            flood.start()
        took_s = float(publishing.communicate(timeout=_WITHIN_S)[0].split()[-1])
        stop.set()
        found = [_arrived(site, slot) for slot in SLOTS]
        dropped = site.counters().kernel_dropped
    delivered, lost = (sum(counts) for counts in zip(*found, strict=True))
    text = _told(delivered, lost, _EACH * len(SLOTS))
    beside = f", {sent[0]:,} junk datagrams" if junk else ""
    return Row(
        name,
        f"{text} in {took_s:.1f} s{beside}; dropped by the kernel: {dropped:,}",
        peer=f"one slot: {peer.BURST_LOG}",
    )


def _send_junk(address: tuple[str, int], stop: threading.Event, sent: list[int]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        while not stop.wait(0.001):
            for datagram in _BAD:
                sender.sendto(datagram, address)
                sent[0] += 1


def _redis_away() -> Row:
    with _site() as (valkey, site):
        publishing = _publishing(site, "flood.py", "session_log", _RATE * _SECONDS, _RATE, 40)
        eventually(lambda: site.counters().applied > _RATE, _WITHIN_S)
        valkey.stop()
        time.sleep(_AWAY_S)
        valkey.start()
        publishing.communicate(timeout=_WITHIN_S)
        text = _told(*_arrived(site), _RATE * _SECONDS)
    return Row(f"Redis away for {_AWAY_S:.0f} s at {_RATE:,}/s", text, peer=peer.ROUTER_AWAY)


def _bridge_killed() -> Row:
    with _site() as (_, site):
        publishing = _publishing(site, "flood.py", "session_log", _RATE * _SECONDS, _RATE, 40)
        eventually(lambda: site.counters().applied > _RATE, _WITHIN_S)
        started = time.monotonic()
        site.stop(site.processes["bridge"], signal.SIGKILL)
        site.start()
        gone_s = time.monotonic() - started
        publishing.communicate(timeout=_WITHIN_S)
        text = _told(*_arrived(site), _RATE * _SECONDS)
    return Row("the bridge killed and restarted", f"{text} (gone for {gone_s:.1f} s)", peer=peer.MONITOR_RESTART)


def _bad_datagrams() -> Row:
    with _site() as (_, site):
        before = len(site.log())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for number in range(_JUNK):
                sender.sendto(_BAD[number % len(_BAD)], site.address)
        eventually(lambda: site.counters().malformed + site.counters().kernel_dropped == _JUNK, _WITHIN_S)
        malformed, logged = site.counters().malformed, len(site.log()) - before
    return Row(f"{_JUNK:,} bad datagrams", f"{malformed:,} counted, {logged:,} bytes of log", peer=peer.BAD_DATAGRAMS)


def _memory() -> Row:
    with _site(SMURFQ_BRIDGE_BUFFER_BYTES=str(_ROOM)) as (valkey, site):
        bridge = psutil.Process(site.processes["bridge"].pid)
        before = highest = bridge.memory_info().rss
        valkey.stop()
        wire = site.wire(SLOT)
        for number in range(5_000):  # 300 MB
            wire.say(f"{number} {'x' * 60_000}")
            if number % 50 == 0:
                time.sleep(0.02)
                highest = max(highest, bridge.memory_info().rss)
        valkey.start()
        delivered, lost = _arrived(site)
        highest = max(highest, bridge.memory_info().rss)
    text = f"{(highest - before) >> 20} MB more; {_told(delivered, lost, 5_000)}"
    return Row(f"300 MB while Redis is away, {_ROOM >> 20} MB allowed", text)
