"""Checks that the bridges are alive, have the right address, and lose no messages."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

from smurfq.core import keys
from smurfq.site.doctor.finding import Examined, Finding, fail, ok, warn
from smurfq.store import connect
from smurfq.store.bridge import Bridges, Health

_RMEM_MAX = Path("/proc/sys/net/core/rmem_max")


def check(examined: Examined) -> Iterator[Finding]:
    """Check the reports of the bridges in Redis: of the one to which this machine's publishers send, and of others."""
    if not examined.redis_answers:
        return
    with connect(examined.settings.redis_url) as client:
        bridges = Bridges(client).health()
    yield from _own(examined, bridges.pop(examined.settings.bridge_name, None))
    for name, health in bridges.items():
        yield from _other(name, health)


def _other(name: str, health: Health | None) -> Iterator[Finding]:
    if health is None:
        yield fail(
            f"bridge {name}",
            "it does not report to Redis: messages that its server's slots publish reach no record now",
            "on that server: check its network, and systemctl restart smurfq-bridge; if the server is gone for good: "
            f"redis-cli HDEL {keys.BRIDGES} {name}",
        )
    else:
        yield ok(f"bridge {name}", f"process {health.pid} on {health.host} listens on {health.address}")
        yield _losses(f"bridge {name}", health)


def _own(examined: Examined, health: Health | None) -> Iterator[Finding]:
    if health is None:
        yield fail(
            "bridge",
            "it is not running: messages that scripts publish reach no record",
            "start it: `smurfq up`, `smurfq bridge`, or systemctl start smurfq-bridge",
        )
        yield from _kernel_limit(examined.settings.bridge.receive_buffer_bytes)
        return
    wanted = f"{examined.settings.bridge.host}:{examined.settings.bridge.port}"
    if health.address != wanted:
        yield fail(
            "bridge",
            f"it listens on {health.address}, but these settings say {wanted}",
            "start it with the same settings as the workers",
        )
    else:
        yield ok("bridge", f"process {health.pid} on {health.host} listens on {health.address}")
    yield _losses("bridge", health)
    yield from _buffer(health, examined.settings.bridge.receive_buffer_bytes)


def _losses(name: str, health: Health) -> Finding:
    counters = health.counters
    dropped = {
        "lost on the way": counters.lost,
        "dropped by the kernel": counters.kernel_dropped,
        "dropped by its own buffer": counters.buffered_dropped,
        "malformed": counters.malformed,
        "from an unknown publisher id": counters.unknown_id,
    }
    some = ", ".join(f"{number} {what}" for what, number in dropped.items() if number)
    if some:
        todo = "its log names them; for unknown ids compare SMURFPUB_ID with the slots' stream ids"
        return warn(f"{name} messages", f"{counters.received} received, {some}", todo)
    used = f"{counters.applied} in records, {counters.registers} values of registers"
    return ok(f"{name} messages", f"{counters.received} received, {used}, none lost")


def _buffer(health: Health, wanted: int) -> Iterator[Finding]:
    if health.receive_buffer_bytes >= wanted:
        yield ok("receive buffer", f"{health.receive_buffer_bytes >> 10} KB, as requested")
    elif health.host == socket.gethostname():
        yield from _kernel_limit(wanted)


def _kernel_limit(wanted: int) -> Iterator[Finding]:
    try:
        limit = int(_RMEM_MAX.read_text())
    except OSError:
        return
    if limit >= wanted:
        yield ok("receive buffer", f"net.core.rmem_max is {limit >> 10} KB; {wanted >> 10} KB are requested")
    else:
        yield warn(
            "receive buffer",
            f"net.core.rmem_max is {limit >> 10} KB, {wanted >> 10} KB are requested: a long burst may overflow it",
            f"sysctl -w net.core.rmem_max={wanted}, and in /etc/sysctl.d (not needed if root runs the bridge)",
        )
