"""How long a message takes from the Publisher in an operation to a client that follows it."""

from __future__ import annotations

import socket
import time

from benchmarks import peer
from benchmarks.figures import Row, Table, times
from benchmarks.plain_receiver import plain_receiver
from benchmarks.site import SCRIPTS, BenchSite
from smurfq.client import MessageUpdate

_FOLLOWED_WITHIN_S = 60.0


def measure(site: BenchSite) -> Table:
    """Publish to seen, at a person's pace and at a machine's."""
    echo = times(_echo(500))
    rows = [
        Row("100/s", times(_seen(site, 400, 0.01)), echo, peer.PUBLISH_TO_SEEN),
        Row("1,000/s", times(_seen(site, 3000, 0.001)), "", ""),
    ]
    remarks = [
        "The time from the script's call of `Publisher.publish` until the client's loop over `Slot.follow`",
        "receives the message, on one machine. Baseline: a datagram to another process and back, without",
        "Redis.",
    ]
    return Table("From publish to a client that follows", rows, remarks)


def _seen(site: BenchSite, count: int, pause_s: float) -> list[float]:
    run = site.slot.submit("run", script=str(SCRIPTS / "ticks.py"), args=[str(count), str(pause_s)])
    waits_s = [
        1e-9 * (time.time_ns() - int(update.text))
        for update in run.follow(_FOLLOWED_WITHIN_S)
        if isinstance(update, MessageUpdate) and update.text.isdigit()  # the Publisher says that it starts, too
    ]
    assert len(waits_s) == count, f"{len(waits_s)} of {count} messages were seen"
    return waits_s


def _echo(count: int) -> list[float]:
    samples = []
    with plain_receiver("echo") as (port, _), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5.0)
        for _ in range(count):
            time.sleep(0.002)
            started = time.perf_counter()
            sock.sendto(b"x" * 200, ("127.0.0.1", port))
            sock.recv(1000)
            samples.append(time.perf_counter() - started)
    return samples
