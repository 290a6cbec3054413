"""350 slots on one Redis, and a history that grows to 100,000 records: what looking, submitting and being idle cost."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
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
from smurfq.store.lua_scripts import lua_script
from smurfq.store.snapshot import meta_text
from smurfq.tasks import test as trial
from tests.site.live import LiveSite

SLOTS = tuple(f"crate{crate}slot{slot}" for crate in range(1, 51) for slot in range(1, 8))
SERVED = SLOTS[:8]  # by real workers, without pysmurf; as many as two cores bear beside the measuring
OPERATIONS = ("take_iv", "take_noise", "take_bias_steps", "set_biases", "stream", "stream", "check_state")
RECORDS = (1_000, 10_000, 100_000)
WAITING_A_SLOT = 10
_IDLE_S = 20.0
_TOGETHER = 1_000


# KEYS: the template's record, data, events, meta. ARGV: the template's id, first number, count, first time, seconds to
# live, number of slots, slots, operations. Makes records like the template, each of the next slot, in the indexes too.
_LIKE_IT = (
    lua_script("enter")
    + """
local slots = tonumber(ARGV[6])
for number = tonumber(ARGV[2]), ARGV[2] + ARGV[3] - 1 do
  local sum = redis.sha1hex(number)
  local id = table.concat({sum:sub(1, 8), sum:sub(9, 12), sum:sub(13, 16), sum:sub(17, 20), sum:sub(21, 32)}, '-')
  for each = 1, 4 do
    redis.call('COPY', KEYS[each], (KEYS[each]:gsub(ARGV[1], id)))
  end
  local slot, operation = ARGV[7 + number % slots], ARGV[7 + slots + number % (#ARGV - 6 - slots)]
  redis.call('HSET', (KEYS[1]:gsub(ARGV[1], id)), 'slot', '"' .. slot .. '"', 'op_name', '"' .. operation .. '"')
  enter('@all', '@ids', '@slot:' .. slot, '@operation:' .. operation, '@newest:' .. slot, id, operation,
        ARGV[4] + number / 1000, 0, ARGV[5])
end
""".replace("@all", keys.HISTORY)
    .replace("@ids", keys.IDS)
    .replace("@slot:", keys.history(""))
    .replace("@operation:", keys.history_of(""))
    .replace("@newest:", keys.newest(""))
)


def measure() -> Table:
    """The figures, each at every size of the history."""
    variables = {"SMURFQ_SLOTS": ",".join(SLOTS), "SMURFQ_WORKER_LEASE_TTL_S": "15"}
    with (
        tempfile.TemporaryDirectory(prefix="smurfq-bench-") as folder,
        LiveSite(Path(folder) / "site", **variables) as site,
    ):
        site.start_bridge()
        without_workers = _idle(site)
        site.start_worker(SERVED[0], slots=SERVED)
        return Table("350 slots on one Redis", _rows(site, without_workers), _REMARKS)


_REMARKS = [
    f"Real workers (one process tree, without pysmurf) serve {len(SERVED)} of the slots. The other slots have no",
    "worker. The cost of an idle slot is its share of the workers, with its state lane. One connected client does",
    "the readings; each command is a new process. Each time is the best of several. Each record has a header,",
    "data, 20 messages, stages, and Celery's metadata.",
    "Dispatch: from `.delay()` to `.get()` on a random slot that has a worker. The baseline is an empty Redis; the",
    f"other figure: {RECORDS[-1]:,} records, and {WAITING_A_SLOT} waiting operations on each slot without a worker.",
]


def _rows(site: LiveSite, without_workers: Cost) -> list[Row]:
    empty = times(_dispatch(60))
    idle = _idle(site)
    rows = [Row("an idle slot: its worker, and its load on Valkey", _a_slot(site, without_workers, idle))]
    found: dict[str, list[str]] = {}
    first_bytes = _used_bytes()
    for size in RECORDS:
        _fill(size - app.store.zcard(keys.HISTORY))
        for what, look in _looks().items():
            found.setdefault(what, []).append(_best_ms(look))
        if size in (RECORDS[0], RECORDS[-1]):
            for what, command in _commands(site).items():
                found.setdefault(what, []).append(_best_ms(command, 3))
    a_record = (_used_bytes() - first_bytes) / RECORDS[-1]
    for what, values in found.items():
        sizes = RECORDS if len(values) == len(RECORDS) else (RECORDS[0], RECORDS[-1])
        rows.append(Row(f"{what}; {' / '.join(f'{size:,}' for size in sizes)} records", f"{' / '.join(values)} ms"))
    rows.append(Row("Valkey's memory for a record, including the indexes", f"{a_record / 1024:.1f} KiB"))
    _queue_up()
    rows.append(Row("dispatch of `test`, with runs waiting on all other slots", times(_dispatch(60)), empty))
    rows.append(Row(f"list all waiting runs of {len(SLOTS)} slots", f"{_best_ms(_looks()['queue list'])} ms"))
    rows.append(Row("the reaper's sweep, if all runs have waited long", f"{_best_ms(_sweep_late)} ms"))
    rows.append(Row("idle, in cores", str(_idle(site)), str(idle)))
    return rows


def _looks() -> dict[str, Callable[[], object]]:
    connection = Connection(app.settings)
    records = connection.records
    slots = Slots(connection=connection)
    unserved = Slot(SLOTS[-1], connection=connection)
    oldest = str(connection.redis.zrange(keys.HISTORY, 0, 0)[0])

    def submit() -> None:
        unserved.submit("test")

    return {
        "the 20 newest records": lambda: records.history(count=20),
        "the 20 newest of a slot": lambda: records.history(SLOTS[5], count=20),
        "the 20 newest of an operation": lambda: records.history(operation=OPERATIONS[0], count=20),
        "the 2 newest of an operation on a slot": lambda: records.history(SLOTS[5], 2, operation=OPERATIONS[0]),
        "the oldest record by the start of its id": lambda: records.index.find(oldest[:13]),
        f"status of all {len(SLOTS)} slots": slots.status,
        "status of one slot": unserved.status,
        "queue list": slots.queue,
        "submit": submit,
        "the reaper's sweep": Reaper(app).sweep,
    }


def _commands(site: LiveSite) -> dict[str, Callable[[], object]]:
    """The commands that people type, each as a process of its own."""
    oldest = str(app.store.zrange(keys.HISTORY, 0, 0)[0])
    typed = ("status", f"status --slot {SLOTS[5]}", "queue list", "history", "watch --once", f"show {oldest[:13]}")

    def command(words: str) -> Callable[[], object]:
        return partial(
            subprocess.run,
            [sys.executable, "-m", "smurfq", *words.split()],
            env={**os.environ, **site.environ},
            stdout=subprocess.DEVNULL,
            check=True,
        )

    return {f"`smurfq {words.replace(oldest[:13], 'ID')}`, start and all": command(words) for words in typed}


def _best_ms(look: Callable[[], object], count: int = 15) -> str:
    """The shortest of several times: what it costs where nothing else runs, as far as that can be had."""
    samples = []
    for _ in range(count):
        started = time.perf_counter()
        look()
        samples.append(1000 * (time.perf_counter() - started))
    return f"{min(samples):.3g}"


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
    records = app.records
    parts = [part(template) for part in (keys.record, keys.data, keys.events, keys.meta)]
    records.start(SessionRecord(template, op_name=OPERATIONS[0], slot=SLOTS[0], params={"tag": "cal", "kwargs": None}))
    software = dict.fromkeys(("smurfq", "python", "sodetlib", "pysmurf-slac", "sotodlib"), "10.3.4")
    tuned = session.header(now, status="running", start_time=now, software=software, tunefile=f"/data/{'x' * 60}.npy")
    told = [
        session.message(f"band {number}: taking an IV, and telling of it as pysmurf does", now) for number in range(20)
    ]
    found = {"filepath": f"/data/{'x' * 60}.npy", "quantiles": {"Rn": [0.0078] * 5, "p_sat": [4.1e-12] * 5}}
    for number, event in enumerate([tuned, session.stage("iv", now), *told, session.data_set(found, now)]):
        records.append(Batch(template, "w", number, [event]))
    records.end(template, "end", session.ended(now, Outcome.SUCCEEDED))
    app.store.set(keys.meta(template), meta_text(template, "SUCCESS", records.read(template).to_dict(), {}), ex=86_400)
    like_it = app.store.register_script(_LIKE_IT)
    there = int(app.store.zcard(keys.HISTORY)) - 1
    for first in range(there, there + count, _TOGETHER):
        some = min(_TOGETHER, there + count - first)
        words: list[str | float] = [
            template,
            first,
            some,
            now - 1000,
            records.expires_s,
            len(SLOTS),
            *SLOTS,
            *OPERATIONS,
        ]
        like_it(keys=parts, args=words)
    app.store.delete(*parts)
    indexes = (keys.HISTORY, keys.IDS, keys.history(SLOTS[0]), keys.history_of(OPERATIONS[0]))
    for index in indexes:
        app.store.zrem(index, template)


def _queue_up() -> None:
    """Have operations wait on every slot that nobody serves, for so long that the reaper looks at them."""
    for slot in SLOTS[len(SERVED) :]:
        for _ in range(WAITING_A_SLOT):
            app.submit("test", slot=slot)
    _age()


def _sweep_late() -> None:
    _age()
    assert Reaper(app).sweep() == []


def _age() -> None:
    waiting: Sequence[str] = app.store.zrange(keys.WAITING, 0, -1)  # type: ignore[assignment]
    app.store.zadd(keys.WAITING, dict.fromkeys(waiting, time.time() - 600.0))


def _used_bytes() -> int:
    return int(app.store.info("memory")["used_memory_dataset"])


@dataclass(frozen=True)
class Cost:
    """What is used while nothing happens: cores of each part, and what Valkey is asked and writes each second."""

    cores: dict[str, float]
    commands: float
    file_bytes: float

    def __str__(self) -> str:
        told = ", ".join(f"{name} {cores:.3f}" for name, cores in self.cores.items())
        return f"{told}; {self.commands:.0f} commands/s"


def _idle(site: LiveSite) -> Cost:
    """What the site costs while nothing happens."""
    parts = {
        "Valkey": [process for process in psutil.Process().children() if "valkey" in process.name()],
        "bridge with reaper": [psutil.Process(site.processes["bridge"].pid)],
    }
    if worker := site.processes.get(f"worker-{SERVED[0]}"):
        parts[f"{len(SERVED)} served slots"] = _family(worker.pid)
    asked, file_bytes = _asked(), _file_bytes()
    before = {name: _cpu_s(processes) for name, processes in parts.items()}
    started = time.monotonic()
    time.sleep(_IDLE_S)
    took_s = time.monotonic() - started
    return Cost(
        {name: (_cpu_s(processes) - before[name]) / took_s for name, processes in parts.items()},
        (_asked() - asked) / took_s,
        (_file_bytes() - file_bytes) / took_s,
    )


def _a_slot(site: LiveSite, without: Cost, with_workers: Cost) -> str:
    """The share of one slot in what the workers cost."""
    count = len(SERVED)
    memory = sum(process.memory_full_info().pss for process in _family(site.processes[f"worker-{SERVED[0]}"].pid))
    return (
        f"{with_workers.cores[f'{count} served slots'] / count:.4f} cores and {memory / count / 1e6:.0f} MB; "
        f"of Valkey {(with_workers.cores['Valkey'] - without.cores['Valkey']) / count:.4f} cores, "
        f"{(with_workers.commands - without.commands) / count:.1f} commands/s, "
        f"{(with_workers.file_bytes - without.file_bytes) / count:.0f} bytes/s into its file"
    )


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


def _asked() -> int:
    return int(app.store.info("stats")["total_commands_processed"])


def _file_bytes() -> int:
    return int(app.store.info("persistence")["aof_current_size"])
