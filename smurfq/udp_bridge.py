"""Starts the bridge, which writes the messages of pysmurf Publishers to session records.

``python -m smurfq.udp_bridge`` or ``smurfq bridge``. Its parts are in ``smurfq.bridge``.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Sequence

from smurfq.app import app
from smurfq.bridge import metrics
from smurfq.bridge.applier import Applier
from smurfq.bridge.buffer import Buffer
from smurfq.bridge.complaints import Complaints
from smurfq.bridge.drain_answers import DrainAnswers
from smurfq.bridge.drops import DropNotices
from smurfq.bridge.health import HealthSign
from smurfq.bridge.known_runs import KnownRuns
from smurfq.bridge.periodic import Periodic
from smurfq.bridge.receiver import Receiver, open_socket, receive_buffer_bytes
from smurfq.bridge.recorder import Recorder
from smurfq.bridge.redis_retry import RedisRetry
from smurfq.bridge.relay import Relay, relay_address
from smurfq.bridge.snapshots import SnapshotPace
from smurfq.bridge.writer import Writer
from smurfq.config import Settings
from smurfq.core.slot import WORKER_LANES, publisher_id
from smurfq.errors import SmurfqError
from smurfq.host.stop_signals import event_of_stop_signals
from smurfq.reaper import Reaper
from smurfq.store.bridge import Counters, Positions
from smurfq.store.connection import connect, require_access
from smurfq.store.feeds import Feeds
from smurfq.store.records import Records
from smurfq.store.site_identity import reject_guess
from smurfq.store.snapshot import Snapshots

FLUSH_S = 5.0  # a stopping bridge waits so long for Redis to come back
SWITCH_INTERVAL_S = 0.0005  # the receiver's longest wait for the interpreter; small receive buffers fill within ms
REAP_S = 5.0
_HEALTH_S = 1.0
_COMPLAINTS_S = 1.0
_WATCH_S = 1.0
_PRUNE_S = 60.0

Part = Applier | Relay | Periodic | Receiver
Job = tuple[float, Callable[[], object]]
log = logging.getLogger("smurfq.bridge")


def run(settings: Settings, stop: threading.Event | None = None, jobs: Sequence[Job] = ()) -> int:
    """Run the bridge until ``stop`` is set, and return its exit code.

    ``jobs`` are ``(interval in seconds, callable)``, which run in the bridge's periodic thread.

    Raises
    ------
    StartError
        A port is already in use.
    """
    bridge = settings.bridge
    switch_interval_s = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        with open_socket(bridge.host, bridge.port, bridge.receive_buffer_bytes) as bound:
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
    applier = _applier(settings, buffer, counters, complaints, retry)
    obtained = receive_buffer_bytes(bound)
    health = HealthSign(settings, buffer, counters, retry, obtained)
    own = Periodic(complaints, log)
    own.every(_HEALTH_S, health.show)
    own.every(_COMPLAINTS_S, complaints.say_due)
    others = Periodic(complaints, log)  # in a separate thread: a slow job must not make the bridge look dead
    others.every(_PRUNE_S, Positions(connect(settings.redis_url)).prune)
    for seconds, job in jobs:
        others.every(seconds, job)
    if bridge.metrics_port:
        metrics.serve(counters, Feeds(connect(settings.redis_url)), bridge.host, bridge.metrics_port)
    threads: list[Part] = [applier, *([relay] if relay else []), own, others, receiver]
    for thread in threads:
        thread.start()
    if obtained < bridge.receive_buffer_bytes:
        log.warning(
            "the receive buffer is %d bytes, not %d: a burst may overflow it; raise net.core.rmem_max (sysctl)",
            obtained,
            bridge.receive_buffer_bytes,
        )
    log.info("ready on %s:%d", bridge.host, bridge.port)
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
        reject_guess(app.settings, os.environ)
        return run(app.settings, stop, [(REAP_S, Reaper(app).sweep)])
    except SmurfqError as cause:
        log.error("%s", cause)
        return 1


def _relay(text: str | None, bound: socket.socket, counters: Counters, complaints: Complaints) -> Relay | None:
    if not text:
        return None
    relay = Relay(*relay_address(text), counters, complaints)
    relay.refuse(bound.getsockname())
    return relay


def _applier(
    settings: Settings, buffer: Buffer, counters: Counters, complaints: Complaints, retry: RedisRetry
) -> Applier:
    client = connect(settings.redis_url, retries=0)
    records = Records(client, settings.redis.result_expires_s)
    snapshots = SnapshotPace(Snapshots(client, records).publish, complaints)
    drops = DropNotices(buffer, counters, complaints)
    publishers = frozenset(publisher_id(slot, lane) for slot in settings.slots for lane in WORKER_LANES)
    recorder = Recorder(
        runs=KnownRuns(client),
        writer=Writer(client, records, retry, complaints),
        retry=retry,
        publishers=publishers,
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
        buffer=buffer,
        counters=counters,
        complaints=complaints,
        log=log,
    )


if __name__ == "__main__":
    sys.exit(main())
