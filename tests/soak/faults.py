"""The faults of a soak: each harms the site and leaves it able to go on.

Which fault comes as the n-th, on which slot and for how long, is drawn from the seed and n alone.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import get_args

import psutil

from smurfq.app import app
from smurfq.core.priorities import PRIORITIES
from smurfq.core.slot import Lane, queue_name
from smurfq.store import patiently
from smurfq.store.queues import list_key
from smurfq.store.redis_errors import AWAY
from tests.soak import junk
from tests.soak.site import LEASE_TTL_S, SoakSite
from tests.soak.witness import Harm

_ENDS_WITHIN_S = 180.0
_STANDS_BY_WITHIN_S = 60.0
_STANDS_BY = "standing by"
_REFUSALS = (  # the command that has Redis take no writes, and the one that has it take them again
    ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"),
    ("CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0"),
    ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
)


@dataclass
class Done:
    """One fault that was done: the slots it hit, and from when on (s of CLOCK_MONOTONIC) they could recover."""

    name: str
    began: float
    slots: list[str] = field(default_factory=list)
    over: float = 0.0
    harms: list[Harm] = field(default_factory=list)
    did_nothing: bool = False  # there was nothing to do it to


class Chance(random.Random):
    """What decides on one fault."""

    def slot_of(self, site: SoakSite) -> str:
        """One of the site's slots."""
        return self.choice(site.slots)

    def around(self, shortest: float, longest: float) -> float:
        """A time, s: each factor of it is as likely as any other, so that most are short."""
        return float(min(longest, shortest * (longest / shortest) ** self.random()))


Fault = Callable[["Faults", Chance, Done], None]
FAULTS: dict[str, Fault] = {}


def fault(name: str) -> Callable[[Fault], Fault]:
    """Have ``Faults`` do this, under this name."""

    def register(function: Fault) -> Fault:
        FAULTS[name] = function
        return function

    return register


class Faults:
    """Does faults to a site, and keeps account of them."""

    def __init__(self, site: SoakSite, seed: int, names: list[str], longest_outage_s: float) -> None:
        self.site = site
        self.longest_outage_s = longest_outage_s
        self.done: list[Done] = []
        self.messages: dict[str, tuple[str, str]] = {}  # seen in the queues: text by task id, and the queue's key
        self._seed = seed
        self._names = names

    def next(self) -> Done:
        """Do the next fault; what it did."""
        number = len(self.done) + 1
        chance = Chance(f"{self._seed}-fault-{number}")
        # Each kind comes before any comes again, in an order of the seed's.
        turn, place = divmod(number - 1, len(self._names))
        name = Chance(f"{self._seed}-turn-{turn}").sample(self._names, len(self._names))[place]
        done = Done(name, time.monotonic())
        FAULTS[name](self, chance, done)
        done.over = done.over or time.monotonic()
        self.done.append(done)
        self.site.keep_up()
        return done

    @property
    def harms(self) -> list[Harm]:
        """All that may have ended an operation."""
        return [harm for done in self.done for harm in done.harms]

    @contextmanager
    def harming(self, done: Done, *slots: str) -> Iterator[None]:
        """Write down that operations of these slots may be ended by what the block does."""
        began = time.monotonic()
        try:
            yield
        finally:
            done.slots += [slot for slot in slots if slot not in done.slots]
            done.harms += [Harm(done.name, slot, began, time.monotonic()) for slot in slots]

    def kill(self, pid: int | None, number: int = signal.SIGKILL) -> bool:
        """Whether there was a process to send the signal to."""
        if pid is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
            return True
        return False

    def restart(self, done: Done, name: str, number: int) -> None:
        """Send a worker a signal, and start it again once it has ended."""
        process = self.site.processes[name]
        with self.harming(done, *self.site.workers[name]):
            process.send_signal(number)
            process.wait(_ENDS_WITHIN_S)
            self.site.start_worker_named(name)


@fault("kill -9 an operation")
def _kill_operation(faults: Faults, chance: Chance, done: Done) -> None:
    slot = chance.slot_of(faults.site)
    with faults.harming(done, slot):
        done.did_nothing = not faults.kill(faults.site.operation(slot))


@fault("kill -9 a pool child")
def _kill_pool_child(faults: Faults, chance: Chance, done: Done) -> None:
    slot = chance.slot_of(faults.site)
    with faults.harming(done, slot):
        done.did_nothing = sum(faults.kill(pid) for pid in _children(faults.site.lane(slot))) == 0


@fault("kill -9 a lane")
def _kill_lane(faults: Faults, chance: Chance, done: Done) -> None:
    slot = chance.slot_of(faults.site)
    lane = faults.site.lane(slot)
    with faults.harming(done, slot):
        done.did_nothing = not faults.kill(lane.pid if lane else None)


@fault("kill -9 a worker")
def _kill_worker(faults: Faults, chance: Chance, done: Done) -> None:
    faults.restart(done, chance.choice(list(faults.site.workers)), signal.SIGKILL)


@fault("SIGTERM to a worker")
def _terminate_worker(faults: Faults, chance: Chance, done: Done) -> None:
    faults.restart(done, chance.choice(list(faults.site.workers)), signal.SIGTERM)


@fault("SIGQUIT to a worker")
def _quit_worker(faults: Faults, chance: Chance, done: Done) -> None:
    faults.restart(done, chance.choice(list(faults.site.workers)), signal.SIGQUIT)


@fault("kill -9 the bridge")
def _kill_bridge(faults: Faults, _chance: Chance, _done: Done) -> None:
    process = faults.site.processes["bridge"]
    process.kill()
    process.wait()


@fault("SIGTERM to the bridge, away for a while")
def _stop_bridge(faults: Faults, chance: Chance, _done: Done) -> None:
    process = faults.site.processes["bridge"]
    process.terminate()
    process.wait(_ENDS_WITHIN_S)
    time.sleep(chance.uniform(0.0, 3.0))


@fault("kill -9 the registrar of the archive")
def _kill_registrar(faults: Faults, _chance: Chance, _done: Done) -> None:
    process = faults.site.processes["archive"]
    process.kill()
    process.wait()


@fault("the archive's database locked")
def _lock_database(faults: Faults, chance: Chance, done: Done) -> None:
    database = faults.site.database
    done.did_nothing = not database.exists()
    if not done.did_nothing:
        with contextlib.closing(sqlite3.connect(database, timeout=60.0)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            time.sleep(chance.uniform(0.0, 8.0))


@fault("the archive's folder away")
def _unmount_archive(faults: Faults, chance: Chance, _done: Done) -> None:
    folder = faults.site.database.parent
    away = folder.rename(folder.with_name("archive-away"))
    time.sleep(chance.uniform(0.0, 3.0))
    away.rename(folder)


@fault("Redis stopped, away, started")
def _stop_redis(faults: Faults, chance: Chance, done: Done) -> None:
    _redis_away(faults, done, signal.SIGTERM, chance.around(1.0, faults.longest_outage_s))


@fault("Redis killed, started at once")
def _kill_redis(faults: Faults, _chance: Chance, done: Done) -> None:
    _redis_away(faults, done, signal.SIGKILL, 0.0)


@fault("Redis paused (SIGSTOP)")
def _pause_redis(faults: Faults, chance: Chance, done: Done) -> None:
    pid = faults.site.valkey.pid
    with _stopped([pid]):
        time.sleep(chance.around(0.5, faults.longest_outage_s))
    done.slots, done.over = list(faults.site.slots), time.monotonic()


@fault("Redis's connections cut")
def _cut_connections(faults: Faults, _chance: Chance, done: Done) -> None:
    done.slots = list(faults.site.slots)
    with contextlib.suppress(*AWAY):
        app.store.client_kill_filter(_type="normal", skipme=True)
        app.store.client_kill_filter(_type="pubsub", skipme=True)


@fault("a second worker, ended again")
def _second_worker(faults: Faults, chance: Chance, done: Done) -> None:
    name = chance.choice(list(faults.site.workers))
    second = faults.site.start_worker_named(name, f"second-{name}")
    with faults.harming(done, *faults.site.workers[name]):
        time.sleep(chance.uniform(0.5, 6.0))
        second.send_signal(chance.choice([signal.SIGTERM, signal.SIGKILL]))
        second.wait(_ENDS_WITHIN_S)


@fault("worker killed, a second takes over")
def _take_over(faults: Faults, chance: Chance, done: Done) -> None:
    name = chance.choice(list(faults.site.workers))
    if not _second_stands_by(faults, name):
        done.did_nothing = True
        return
    with faults.harming(done, *faults.site.workers[name]):
        first = faults.site.processes[name]
        first.kill()
        first.wait()
        _swap(faults.site, name)


@fault("worker paused past its lease, a second takes over, the first wakes up")
def _pause_worker(faults: Faults, chance: Chance, done: Done) -> None:
    """The lane alone, with its pool child, or with all below it."""
    name = chance.choice(list(faults.site.workers))
    slot = chance.choice(faults.site.workers[name])
    how = chance.choice(["the lane", "the lane and its pool child", "all"])
    wakes_after_s = LEASE_TTL_S + chance.uniform(1.0, 8.0)
    if not _second_stands_by(faults, name):
        done.did_nothing = True
        return
    lane = faults.site.lane(slot)
    below = _tree(lane) if how == "all" else _children(lane) if how != "the lane" else []
    with faults.harming(done, *faults.site.workers[name]):
        with _stopped([*([lane.pid] if lane else []), *below]):
            time.sleep(wakes_after_s)
        time.sleep(chance.uniform(0.0, 3.0))  # both are awake
        first = faults.site.processes[name]
        first.send_signal(signal.SIGTERM)
        first.wait(_ENDS_WITHIN_S)
        _swap(faults.site, name)


@fault("a pool child paused past the lease")
def _pause_pool_child(faults: Faults, chance: Chance, done: Done) -> None:
    slot = chance.slot_of(faults.site)
    with _stopped(_children(faults.site.lane(slot))):
        time.sleep(LEASE_TTL_S + chance.uniform(0.5, 3.0))
    done.slots = [slot]


@fault("an operation paused past the lease")
def _pause_operation(faults: Faults, chance: Chance, done: Done) -> None:
    slot = chance.slot_of(faults.site)
    pid = faults.site.operation(slot)
    with _stopped([pid] if pid else []):
        time.sleep(LEASE_TTL_S + chance.uniform(0.5, 3.0))
    done.slots, done.did_nothing = [slot], pid is None


@fault("a message published twice")
def _publish_twice(faults: Faults, chance: Chance, done: Done) -> None:
    _copy(faults, chance, done, elsewhere=False)


@fault("a message copied into another slot's queue")
def _publish_elsewhere(faults: Faults, chance: Chance, done: Done) -> None:
    _copy(faults, chance, done, elsewhere=True)


@fault("Redis takes no writes")
def _refuse_writes(faults: Faults, chance: Chance, done: Done) -> None:
    """No room, no replicas, or a replica itself."""
    refuse, allow = chance.choice(_REFUSALS)
    patiently(lambda: app.store.execute_command(*refuse.split()))
    try:
        time.sleep(chance.around(0.5, faults.longest_outage_s))
    finally:
        patiently(lambda: app.store.execute_command(*allow.split()))
    done.slots, done.over = list(faults.site.slots), time.monotonic()


@fault("junk in a slot's queue")
def _junk_in_queue(faults: Faults, chance: Chance, done: Done) -> None:
    slot = chance.slot_of(faults.site)
    good = [text for text, _ in list(faults.messages.values())[-4:]]
    for _ in range(chance.randint(1, 50)):
        text = junk.message(chance, slot, chance.choice([None, *good]))
        key = list_key(queue_name(slot, chance.choice(get_args(Lane))), chance.choice(list(PRIORITIES.values())))
        with contextlib.suppress(*AWAY):
            app.store.rpush(key, text)
    done.slots = [slot]


@fault("junk flooding the bridge")
def _junk_at_bridge(faults: Faults, chance: Chance, _done: Done) -> None:
    address = (app.settings.bridge.host, app.settings.bridge.port)
    publishers = [*faults.site.slots, *app.settings.stream_ids.values()]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(int(chance.around(100, 20_000))):
            sender.sendto(junk.datagram(chance, publishers), address)


@fault("the log folder cannot be written")
def _unwritable_logs(faults: Faults, chance: Chance, done: Done) -> None:
    """A file in its place: root, which the soak may be, can write to any folder."""
    folder = app.settings.log_dir
    aside = folder.with_name("logs-aside")
    with faults.harming(done, *faults.site.slots):
        folder.rename(aside)
        folder.touch()
        time.sleep(chance.uniform(0.5, 2.0))
        folder.unlink()
        aside.rename(folder)


def _redis_away(faults: Faults, done: Done, number: int, away_s: float) -> None:
    faults.site.valkey.stop(number)
    time.sleep(away_s)
    faults.site.valkey.start()
    done.slots, done.over = list(faults.site.slots), time.monotonic()


def _copy(faults: Faults, chance: Chance, done: Done, *, elsewhere: bool) -> None:
    """Put byte-identical copies of messages into a queue: of one that waits, and of one taken long ago."""
    try:
        for slot in faults.site.slots:
            for waiting in app.waiting.waiting(slot):
                faults.messages[waiting.task_id] = (waiting.text, waiting.key)
        if not faults.messages:
            done.did_nothing = True
            return
        newest = list(faults.messages.values())
        for text, key in (newest[-1 - chance.randrange(min(4, len(newest)))], chance.choice(newest)):
            where = _other_key(key, faults.site.slots, chance) if elsewhere else key
            app.store.rpush(where, text)
            done.slots += [slot for slot in faults.site.slots if where.startswith(slot)]
    except AWAY:
        done.did_nothing = True


def _other_key(key: str, slots: list[str], chance: Chance) -> str:
    own = next(slot for slot in slots if key.startswith(slot))
    return key.replace(own, chance.choice([slot for slot in slots if slot != own]), 1)


def _second_stands_by(faults: Faults, name: str) -> bool:
    """Whether a second worker stands by for all that a first one serves."""
    site, second = faults.site, f"second-{name}"
    site.keep_up()
    begin = (site.folder / f"{second}.log").stat().st_size if (site.folder / f"{second}.log").exists() else 0
    process = site.start_worker_named(name, second)
    lanes = 2 * len(site.workers[name])
    deadline = time.monotonic() + _STANDS_BY_WITHIN_S
    while time.monotonic() < deadline:
        if site.log(second)[begin:].count(_STANDS_BY) >= lanes:
            return True
        time.sleep(0.1)
    process.kill()  # it serves some of the lanes itself: the first has not come back yet
    process.wait()
    return False


def _swap(site: SoakSite, name: str) -> None:
    """Let the second worker be the first from now on."""
    site.processes[name] = site.processes.pop(f"second-{name}")


def _children(process: psutil.Process | None) -> list[int]:
    with contextlib.suppress(psutil.Error):
        return [child.pid for child in process.children()] if process else []
    return []


def _tree(process: psutil.Process | None) -> list[int]:
    with contextlib.suppress(psutil.Error):
        return [child.pid for child in process.children(recursive=True)] if process else []
    return []


@contextmanager
def _stopped(pids: list[int]) -> Iterator[None]:
    """Have processes stopped meanwhile."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
