"""350 slots on one Redis, and a history that grows to 100,000 records: what looking, submitting and being idle cost."""

from __future__ import annotations

import contextlib
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from benchmarks.figures import Row, Table, times
from smurfq.app import app
from smurfq.client import Slot, Slots
from smurfq.client.connection import Connection
from smurfq.core import keys, session
from smurfq.core.session import Outcome, SessionRecord
from smurfq.reaper import Reaper
from smurfq.store import Batch
from smurfq.store.snapshot import meta_text
from smurfq.tasks import test as trial
from tests.integration.live import LiveSite

SLOTS = tuple(f"crate{crate}slot{slot}" for crate in range(1, 51) for slot in range(1, 8))
SERVED = SLOTS[:8]  # by real workers, without pysmurf; as many as two cores bear beside the measuring
RECORDS = (1_000, 10_000, 100_000)
WAITING_A_SLOT = 10
_IDLE_S = 20.0
_TOGETHER = 1_000


# KEYS: the template's record, data, events, meta; history. ARGV: the template's id, first number, count, time, slots.
# Makes records like the template, each of the next slot; written one by one through the client they take minutes.
_LIKE_IT = """
for number = tonumber(ARGV[2]), ARGV[2] + ARGV[3] - 1 do
  local sum = redis.sha1hex(number)
  local id = table.concat({sum:sub(1, 8), sum:sub(9, 12), sum:sub(13, 16), sum:sub(17, 20), sum:sub(21, 32)}, '-')
  for each = 1, 4 do
    redis.call('COPY', KEYS[each], (KEYS[each]:gsub(ARGV[1], id)))
  end
  local slot = ARGV[5 + number % (#ARGV - 4)]
  redis.call('HSET', (KEYS[1]:gsub(ARGV[1], id)), 'slot', '"' .. slot .. '"')
  redis.call('ZADD', KEYS[5], ARGV[4] + number / 1000, id)
  redis.call('ZADD', KEYS[5] .. ':' .. slot, ARGV[4] + number / 1000, id)
end
"""


def measure() -> Table:
    """The figures, each at every size of the history."""
    variables = {"SMURFQ_SLOTS": ",".join(SLOTS), "SMURFQ_WORKER_LEASE_TTL_S": "15"}
    with tempfile.TemporaryDirectory(prefix="smurfq-bench-") as folder:
        site = LiveSite(Path(folder) / "site", **variables)
        try:
            site.bind()
            site.start_bridge()
            site.start_worker(SERVED[0], slots=SERVED)
            for slot in SERVED:
                site.await_worker(slot, f"worker-{SERVED[0]}")
            return Table("350 slots on one Redis", _rows(site), _REMARKS)
        finally:
            site.close()


_REMARKS = [
    f"{len(SERVED)} of the slots are served by real workers (one process tree, no pysmurf), the others by nobody.",
    "Looking is by a client in one process, connected; a command adds its start. Each record: header, data, events",
    "and Celery's metadata. Dispatch: `.delay()` to `.get()`, a served slot chosen at random.",
    f"Baseline: before anything was written. Then: {RECORDS[-1]:,} records, and {WAITING_A_SLOT} operations waiting on",
    "each slot that nobody serves.",
]


def _rows(site: LiveSite) -> list[Row]:
    empty = times(_dispatch(60))
    cost_empty = _idle(site)
    found: dict[str, list[str]] = {}
    first_bytes = _used_bytes()
    for size in RECORDS:
        _fill(size - app.store.zcard(keys.HISTORY))  # type: ignore[operator]
        for what, look in _looks(site).items():
            found.setdefault(what, []).append(_median_ms(look))
    a_record = (_used_bytes() - first_bytes) / RECORDS[-1]
    sizes = " / ".join(f"{size:,}" for size in RECORDS)
    rows = [Row(f"{what}; {sizes} records", " / ".join(values) + " ms") for what, values in found.items()]
    rows.append(Row("memory of Valkey a record", f"{a_record / 1024:.1f} KiB"))
    _queue_up()
    rows.append(Row("dispatch of `test`, all the others waiting", times(_dispatch(60)), empty))
    rows.append(Row(f"look at all that waits: {len(SLOTS)} slots", f"{_median_ms(_looks(site)['queue list'])} ms"))
    rows.append(Row("the reaper's sweep, all waiting for long", f"{_median_ms(_sweep_late)} ms"))
    rows.append(Row("idle, in cores", _idle(site), cost_empty))
    return rows


def _looks(site: LiveSite) -> dict[str, Callable[[], object]]:
    connection = Connection(app.settings)
    slots = Slots(connection=connection)
    unserved = Slot(SLOTS[-1], connection=connection)
    some_id = connection.records.history(count=1)[0].session_id if connection.redis.zcard(keys.HISTORY) else ""

    def submit() -> None:
        unserved.submit("test")

    return {
        "the 20 newest records": lambda: connection.records.history(count=20),
        "the 20 newest of a slot": lambda: connection.records.history(SLOTS[5], count=20),
        "a record by the start of its id": lambda: connection.records.find(some_id[:8]),
        f"status of all {len(SLOTS)} slots": slots.status,
        "status of one slot": unserved.status,
        "queue list": slots.queue,
        "submit": submit,
        "the reaper's sweep": Reaper(app).sweep,
    }


def _median_ms(look: Callable[[], object], count: int = 15) -> str:
    samples = []
    for _ in range(count):
        started = time.perf_counter()
        look()
        samples.append(1000 * (time.perf_counter() - started))
    return f"{statistics.median(samples):.3g}"


def _dispatch(count: int) -> list[float]:
    samples = []
    for _ in range(count):
        started = time.perf_counter()
        trial.delay(slot=random.choice(SERVED)).get(timeout=60)
        samples.append(time.perf_counter() - started)
    return samples


def _fill(count: int) -> None:
    """Write records of runs that are over: one as a worker writes it, the others like it."""
    now = time.time()
    template = "template"
    record = SessionRecord(template, op_name="take_iv", slot=SLOTS[0], submit_time=now, params={"tag": "cal"})
    events = [
        session.header(now, status="running", start_time=now),
        session.stage("iv", now),
        session.message("taking an IV", now),
        session.data_set({"filepath": "/data/smurf_data/iv.npy", "quantiles": {"Rn": [0.0078] * 5}}, now),
    ]
    app.records.create(record)
    app.records.append(
        Batch(template, "w", 0, events), Batch(template, "w", 1, [session.ended(now, Outcome.SUCCEEDED)])
    )
    app.store.set(
        keys.meta(template), meta_text(template, "SUCCESS", app.records.read(template).to_dict(), {}), ex=86_400
    )
    parts = [part(template) for part in (keys.record, keys.data, keys.events, keys.meta)]
    like_it = app.store.register_script(_LIKE_IT)
    there = int(app.store.zcard(keys.HISTORY))  # type: ignore[arg-type]
    for first in range(there, there + count, _TOGETHER):
        like_it(
            keys=[*parts, keys.HISTORY],
            args=[template, first, min(_TOGETHER, there + count - first), now - 1000, *SLOTS],
        )
    app.store.delete(*parts)
    for index in (keys.HISTORY, keys.history(SLOTS[0]), keys.WAITING):
        app.store.zrem(index, template)


def _queue_up() -> None:
    """Have operations wait on every slot that nobody serves, for so long that the reaper looks at them."""
    for slot in SLOTS[len(SERVED) :]:
        for _ in range(WAITING_A_SLOT):
            app.submit("test", slot=slot)
    _age()


def _sweep_late() -> None:
    _age()
    reaper = Reaper(app)
    for _ in range(2):  # it looks at 2,000 at a time
        assert reaper.sweep() == []


def _age() -> None:
    waiting: Sequence[str] = app.store.zrange(keys.WAITING, 0, -1)  # type: ignore[assignment]
    app.store.zadd(keys.WAITING, dict.fromkeys(waiting, time.time() - 600.0))


def _used_bytes() -> int:
    return int(app.store.info("memory")["used_memory_dataset"])  # type: ignore[index]


def _idle(site: LiveSite) -> str:
    """The CPU that each part uses while nothing happens, in cores, and what Redis is asked."""
    parts = {
        "Valkey": [process for process in psutil.Process().children() if "valkey" in process.name()],
        "bridge with reaper": [psutil.Process(site.processes["bridge"].pid)],
        "a served slot": _family(site.processes[f"worker-{SERVED[0]}"].pid),
    }
    asked = _commands()
    before = {name: _cpu_s(processes) for name, processes in parts.items()}
    started = time.monotonic()
    time.sleep(_IDLE_S)
    took_s = time.monotonic() - started
    used = {name: (_cpu_s(processes) - before[name]) / took_s for name, processes in parts.items()}
    used["a served slot"] /= len(SERVED)
    told = ", ".join(f"{name} {cores:.3f}" for name, cores in used.items())
    return f"{told}; {(_commands() - asked) / took_s:.0f} commands/s"


def _family(pid: int) -> list[psutil.Process]:
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def _cpu_s(processes: Sequence[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            used = process.cpu_times()
            total += used.user + used.system
    return total


def _commands() -> int:
    return int(app.store.info("stats")["total_commands_processed"])  # type: ignore[index]
