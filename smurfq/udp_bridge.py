"""Starts the bridge, which writes the messages of pysmurf Publishers to session records.

``python -m smurfq.udp_bridge`` or ``smurfq bridge``. Its parts are in ``smurfq.bridge``.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence

from prometheus_client.registry import Collector

from smurfq.app import app
from smurfq.bridge import metrics
from smurfq.bridge.applier import Applier
from smurfq.bridge.archive_metrics import ArchiveCollector
from smurfq.bridge.buffer import Buffer
from smurfq.bridge.complaints import Complaints
from smurfq.bridge.drain_answers import DrainAnswers
from smurfq.bridge.drops import DropNotices
from smurfq.bridge.health import HealthSign
from smurfq.bridge.known_runs import KnownRuns
from smurfq.bridge.passed_socket import passed_socket
from smurfq.bridge.periodic import Periodic
from smurfq.bridge.publishers import Publishers
from smurfq.bridge.receiver import Receiver, open_socket, receive_buffer_bytes
from smurfq.bridge.recorder import Recorder
from smurfq.bridge.redis_retry import RedisRetry
from smurfq.bridge.register_values import RegisterValues
from smurfq.bridge.relay import Relay, relay_address
from smurfq.bridge.snapshots import SnapshotPace
from smurfq.bridge.writer import Writer
from smurfq.config import Settings
from smurfq.config.slot_names import SlotNames
from smurfq.core.slot import WORKER_LANES, publisher_id
from smurfq.errors import SmurfqError
from smurfq.host.stop_signals import event_of_stop_signals
from smurfq.reaper import Reaper
from smurfq.store.archive_list import ArchiveList
from smurfq.store.bridge import BridgeBoard, Counters, Positions
from smurfq.store.connection import Client, connect, require_access
from smurfq.store.feeds import Feeds
from smurfq.store.records import Records
from smurfq.store.registers import Registers
from smurfq.store.site_identity import join_site
from smurfq.store.snapshot import Snapshots
from smurfq.store.stream_ids import StreamIds

FLUSH_S = 5.0  # a stopping bridge waits so long for Redis to come back
SWITCH_INTERVAL_S = 0.0005  # the receiver's longest wait for the interpreter; small receive buffers fill within ms
REAP_S = 5.0
_HEALTH_S = 1.0
_COMPLAINTS_S = 1.0
_WATCH_S = 1.0
_PRUNE_S = 60.0
_NAMES_S = 1.0
_REGISTERS_S = 1.0

Part = Applier | Relay | Periodic | Receiver
Job = tuple[float, Callable[[], object]]
log = logging.getLogger("smurfq.bridge")


def run(settings: Settings, stop: threading.Event | None = None, jobs: Sequence[Job] = ()) -> int:
    """Run the bridge until ``stop`` is set, and return its exit code.

    ``jobs`` are ``(interval in seconds, callable)``, which run in the bridge's periodic thread.

    Raises
    ------
    StartError
        A port is already in use, or the socket that was passed has another address.
    """
    bridge = settings.bridge
    switch_interval_s = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        passed = passed_socket(os.environ, bridge.host, bridge.port)
        with open_socket(bridge.host, bridge.port, bridge.receive_buffer_bytes, passed) as bound:
            return _run(settings, bound, stop or threading.Event(), jobs)
    finally:
        sys.setswitchinterval(switch_interval_s)


def _run(settings: Settings, bound: socket.socket, stop: threading.Event, jobs: Sequence[Job]) -> int:
    bridge = settings.bridge
    counters = Counters()
    complaints = Complaints(log)
    stopping = threading.Event()
    retry = RedisRetry(log, stopping, FLUSH_S, settings.redis_url)
    buffer = Buffer(bridge.buffer_messages, bridge.buffer_bytes)
    relay = _relay(bridge.relay, bound, counters, complaints)
    receiver = Receiver(bound, [buffer, relay.buffer] if relay else [buffer], counters)
    names = SlotNames(settings, StreamIds(connect(settings.redis_url, retries=0)).read)
    publishers = Publishers(settings.stream_ids, names.stream_ids)
    registers = _registers(settings, complaints)
    applier = _applier(settings, publishers, registers, buffer, counters, complaints, retry)
    obtained = receive_buffer_bytes(bound)
    health = HealthSign(settings, buffer, counters, retry, obtained)
    own = Periodic(complaints, log)
    own.every(_HEALTH_S, health.show)
    own.every(_COMPLAINTS_S, complaints.say_due)
    others = Periodic(complaints, log)  # in a separate thread: a slow job must not make the bridge look dead
    others.every(_REGISTERS_S, registers.flush)
    others.every(_NAMES_S, publishers.read_again)
    others.every(_PRUNE_S, Positions(connect(settings.redis_url), settings.bridge_name).prune)
    for seconds, job in jobs:
        others.every(seconds, job)
    if bridge.metrics_port:
        metrics.serve(bridge.host, bridge.metrics_port, _collectors(settings, counters, registers))
    threads: list[Part] = [applier, *([relay] if relay else []), own, others, receiver]
    for thread in threads:
        thread.start()
    if obtained < bridge.receive_buffer_bytes:
        log.warning(
            "the receive buffer is %d bytes, not %d: a burst may overflow it; raise net.core.rmem_max (sysctl)",
            obtained,
            bridge.receive_buffer_bytes,
        )
    log.info("%s is ready on %s:%d", settings.bridge_name, bridge.host, bridge.port)
    sound = _watch(stop, receiver, applier)
    receiver.finish()
    receiver.join()
    bound.close()
    log.info("stopping; %d messages to write", len(buffer))
    stopping.set()
    for thread in threads:
        thread.finish()
    for thread in threads:
        thread.join(2 * FLUSH_S)
    health.clear()
    log.info("stopped: %d received, %d applied", counters.received, counters.applied)
    return 0 if sound else 1


def _watch(stop: threading.Event, *vital: Part) -> bool:
    """Wait for ``stop``, and return true; return false as soon as one of the ``vital`` threads has died."""
    while not stop.wait(_WATCH_S):
        dead = [thread.name for thread in vital if not thread.is_alive()]
        if dead:
            log.critical("the %s has died, see above; the bridge exits so that it can be restarted", dead[0])
            return False
    return True


def main() -> int:
    """Run ``python -m smurfq.udp_bridge``. Return 0 after SIGTERM or SIGINT, 1 if it could not start."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    stop = event_of_stop_signals()
    try:
        require_access(app.settings.redis_url)
        join_site(app.settings, os.environ)
        BridgeBoard(app.store, app.settings.bridge_name).reject_other_host(socket.gethostname())
        return run(app.settings, stop, [(REAP_S, Reaper(app).sweep)])
    except SmurfqError as cause:
        log.error("%s", cause)
        return 1


def _registers(settings: Settings, complaints: Complaints) -> RegisterValues:
    client = connect(settings.redis_url, retries=0)
    expires_s, limits = settings.redis.feed_expires_s, settings.registers
    feeds = Feeds(client, expires_s, limits.feed_blocks)
    return RegisterValues(Registers(client, expires_s), feeds, limits, complaints, log)


def _relay(text: str | None, bound: socket.socket, counters: Counters, complaints: Complaints) -> Relay | None:
    if not text:
        return None
    relay = Relay(*relay_address(text), counters, complaints)
    relay.refuse(bound.getsockname())
    return relay


def _collectors(settings: Settings, counters: Counters, registers: RegisterValues) -> Iterator[Collector]:
    client = connect(settings.redis_url)
    yield metrics.CountersCollector(settings.bridge_name, counters)
    yield metrics.FeedsCollector(Feeds(client))
    yield metrics.RegistersCollector(registers)
    yield metrics.QueuesCollector(client, settings.slots)
    if (archive := _archive(settings, client)) is not None:
        yield ArchiveCollector(archive)


def _archive(settings: Settings, client: Client) -> ArchiveList | None:
    return ArchiveList(client, settings.bridge_name) if settings.archive.database is not None else None


def _applier(
    settings: Settings,
    publishers: Publishers,
    registers: RegisterValues,
    buffer: Buffer,
    counters: Counters,
    complaints: Complaints,
    retry: RedisRetry,
) -> Applier:
    client = connect(settings.redis_url, retries=0)
    records = Records(client, settings.redis.result_expires_s)
    snapshots = SnapshotPace(Snapshots(client, records).publish, complaints)
    drops = DropNotices(buffer, counters, complaints)
    lanes = frozenset(publisher_id(slot, lane) for slot in settings.slots for lane in WORKER_LANES)
    recorder = Recorder(
        runs=KnownRuns(client),
        writer=Writer(
            client,
            records,
            Positions(client, settings.bridge_name),
            retry,
            complaints,
            _archive(settings, client),
        ),
        feeds=Feeds(client, settings.redis.feed_expires_s, settings.redis.feed_blocks),
        retry=retry,
        publishers=lanes,
        counters=counters,
        complaints=complaints,
    )
    answers = DrainAnswers(
        client=client, recorder=recorder, snapshots=snapshots, drops=drops, retry=retry, complaints=complaints
    )
    return Applier(
        recorder=recorder,
        answers=answers,
        drops=drops,
        snapshots=snapshots,
        retry=retry,
        publishers=publishers,
        registers=registers,
        buffer=buffer,
        counters=counters,
        complaints=complaints,
        log=log,
    )


if __name__ == "__main__":
    sys.exit(main())
