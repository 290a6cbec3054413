"""How many messages of a running operation arrive, and what each costs in CPU."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks import peer
from benchmarks.figures import Row, Table, span
from benchmarks.plain_receiver import plain_receiver
from benchmarks.site import SCRIPTS, SLOT, BenchSite
from smurfq.app import app
from smurfq.core.session import SessionRecord
from smurfq.tasks import run
from tests.site.process_group import environ_without_site

_WITHIN_S = 120.0
_FLOOD = str(SCRIPTS / "flood.py")
_EVERY_BATCH = 1_000_000
_WORKER = f"worker-{SLOT}"


@dataclass(frozen=True)
class Case:
    """A flood: RATE 0 is the Publisher's full speed, ``size`` the characters of a message's own text."""

    name: str
    kind: str
    count: int
    rate: float
    size: int = 40
    tries: int = 1
    peer: str = ""


@dataclass(frozen=True)
class Flood:
    """What a flood came to."""

    delivered: int
    lost: int
    complete: bool
    rate: float  # a second, as published
    done_after_ms: float  # from the last message to the record's end
    cpu_us: dict[str, float]  # a message, by part of the site


CASES = (
    Case("10,000 session_data at once", "session_data", 10_000, 0.0, tries=3, peer=peer.BURST_DATA),
    Case("10,000 session_log at once", "session_log", 10_000, 0.0, tries=3, peer=peer.BURST_LOG),
    Case("1,000/s for 5 s", "session_log", 5_000, 1_000.0, peer="all, of 1,000 at 1,000/s"),
    Case("20,000/s for 10 s", "session_log", 200_000, 20_000.0, peer=peer.STEADY),
    Case("200/s of 60 kB for 5 s", "session_log", 1_000, 200.0, size=60_000, peer="none over 8,192 bytes"),
)


def measure(site: BenchSite) -> Sequence[Table]:
    """What arrives, and what it costs."""
    delivered, costs = [], []
    for case in CASES:
        floods = [_flood(site, case) for _ in range(case.tries)]
        plain = [_plain(case) for _ in range(case.tries)]
        delivered.append(
            Row(
                case.name, _arrived(case, floods), f"{span([count for count, _ in plain])} of {case.count:,}", case.peer
            )
        )
        paid = {name: statistics.median(flood.cpu_us[name] for flood in floods) for name in floods[0].cpu_us}
        parts = ", ".join(f"{name} {cpu_us:.0f}" for name, cpu_us in paid.items())
        receiving_us = statistics.median(cpu_us for _, cpu_us in plain)
        costs.append(
            Row(
                case.name,
                f"{sum(paid.values()):.0f} µs: {parts}",
                f"{receiving_us:.0f} µs",
                peer.CPU_A_MESSAGE if case.rate == 1_000 else "",
            )
        )
    return [
        Table(
            "Messages of a running operation that arrive",
            delivered,
            [
                "A script in `run` publishes with the real Publisher. The figure is the number of different messages",
                "in its record. Baseline: the same messages to a `recv` loop in Python with the default buffer, which",
                "stores nothing.",
            ],
        ),
        Table(
            "CPU time for each message",
            costs,
            [
                "The user and system time of all processes except the one that publishes, divided by the number of",
                "messages sent. It includes the cost of the operation itself. Baseline: the time of the `recv` loop,",
                "with Python's start, divided by the number of messages that it received.",
            ],
        ),
    ]


def _arrived(case: Case, floods: Sequence[Flood]) -> str:
    """A case's outcome in words."""
    delivered, lost, rate, after_ms = (
        span([getattr(flood, name) for flood in floods]) for name in ("delivered", "lost", "rate", "done_after_ms")
    )
    known = "complete" if all(flood.complete for flood in floods) else f"{lost} known to be lost, and said so"
    return f"{delivered} of {case.count:,}, {known} (at {rate}/s; done {after_ms} ms after)"


def _flood(site: BenchSite, case: Case) -> Flood:
    before = {name: site.cpu_s(part) for name, part in _PARTS.items()}
    result = run.delay(slot=SLOT, script=_FLOOD, args=_arguments(case)).get(timeout=_WITHIN_S)
    record = SessionRecord.from_dict(result)
    cpu_us = {name: 1e6 * (site.cpu_s(part) - before[name]) / case.count for name, part in _PARTS.items()}
    took_s, ended = map(float, record.log.split()[-2:])
    assert record.end_time is not None
    return Flood(
        delivered=_delivered(case, record),
        lost=record.lost,
        complete=bool(record.complete),
        rate=case.count / took_s,
        done_after_ms=1000 * (record.end_time - ended),
        cpu_us={name: max(0.0, used) for name, used in cpu_us.items()},
    )


_PARTS = {"bridge": "bridge", "Valkey": "valkey", "worker": _WORKER}


def _delivered(case: Case, record: SessionRecord) -> int:
    """How many different messages the record has; its stream keeps more of them than the record shows."""
    if case.kind == "session_data":
        return len(record.data)
    events = app.records.tail(record.session_id, _EVERY_BATCH)
    numbers = {event["text"].partition(" ")[0] for event in events if event["k"] == "message"}
    return sum(number.isdigit() for number in numbers)  # the Publisher says that it starts, too


def _arguments(case: Case) -> list[str]:
    return [case.kind, str(case.count), str(case.rate), str(case.size)]


def _plain(case: Case) -> tuple[int, float]:
    """How many of a flood a plain receiver got, and its CPU (us) for each."""
    with plain_receiver("count") as (port, receiver):
        environ = environ_without_site(
            SMURFPUB_BACKEND="udp", SMURFPUB_ID=SLOT, SMURFPUB_UDP_HOST="127.0.0.1", SMURFPUB_UDP_PORT=str(port)
        )
        command = [sys.executable, _FLOOD, *_arguments(case)]
        subprocess.run(
            command, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True, timeout=_WITHIN_S
        )
        assert receiver.stdout is not None
        count, cpu_s = receiver.stdout.readline().split()
    return int(count), 1e6 * float(cpu_s) / int(count)
