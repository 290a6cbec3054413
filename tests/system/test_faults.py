"""Processes are killed, stopped and restarted: nothing runs twice, every run ends, and no process is left."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from celery import chain

from smurfq.app import app
from smurfq.core.session import SessionRecord
from smurfq.core.slot import publisher_id, worker_name
from smurfq.errors import OperationAbortedError, OperationDiedError, OperationLostError
from smurfq.host.lock import lock_path
from smurfq.host.operation_mark import mark_of
from smurfq.reaper import Reaper
from smurfq.tasks import run
from smurfq.tasks import test as trial
from smurfq.worker.shutdown import WITHOUT_REDIS_EXIT
from tests.site.bridge import BRIDGE_KEY
from tests.site.eventually import WITHIN_S, eventually
from tests.site.live import LiveSite
from tests.site.process_group import STOP_WITHIN_S, lives

SLOT = "crate1slot3"
LONG = """
import os, subprocess, time
child = subprocess.Popen(["setsid", "sleep", "300"])
print(os.getpid(), child.pid, flush=True)
try:
    time.sleep(300)
finally:
    print("cleaned up", flush=True)
"""


@pytest.fixture
def worker(site: LiveSite) -> Iterator[Any]:
    """A worker of the slot; whatever becomes of it, nothing of it is left for the next test."""
    process = site.start_worker(SLOT)
    yield process
    site.stop(process)


def record_of(task: Any) -> SessionRecord:
    return app.records.read(task.id)


def started(site: LiveSite, slot: str = SLOT) -> tuple[Any, list[int]]:
    """A long task that runs, and the processes of its operation."""
    task = run.delay(slot=slot, script=site.script("long.py", LONG))
    log = eventually(lambda: record_of(task).log, what="it runs")
    return task, [int(pid) for pid in log.split()]


def all_gone(pids: list[int], within_s: float = WITHIN_S) -> None:
    eventually(lambda: not any(map(lives, pids)), within_s, f"{pids} are gone")


def pool_child(site: LiveSite) -> int:
    children = psutil.Process(site.worker_pid(SLOT)).children()
    assert len(children) == 1
    return children[0].pid


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_pool_child_fails_its_operation_and_the_next_runs(
    site: LiveSite, worker: Any, number: signal.Signals
) -> None:
    """The next run is not aborted: the signal was not for its worker, which is not told to stop."""
    task, pids = started(site)
    os.kill(pool_child(site), number)
    with pytest.raises(OperationDiedError, match="watched it is gone"):
        task.get(timeout=WITHIN_S)
    assert record_of(task).outcome == "failed"
    assert not lives(pids[0])
    seconds = 2 * site.settings.limits.shutdown_grace_s
    longer = site.script("longer.py", f"import time\ntime.sleep({seconds})\n")
    assert run.delay(slot=SLOT, script=longer).get(timeout=WITHIN_S)["success"]


def test_a_killed_lane_leaves_its_operation_lost_and_its_chain_ended(site: LiveSite, worker: Any) -> None:
    last = chain(run.si(slot=SLOT, script=site.script("long.py", LONG)), trial.si(slot=SLOT)).apply_async()
    first = last.parent
    pids = [int(pid) for pid in eventually(lambda: record_of(first).log, what="it runs").split()]
    lane = site.worker_pid(SLOT)
    os.kill(lane, signal.SIGKILL)
    with pytest.raises(OperationLostError):
        first.get(timeout=WITHIN_S)
    assert record_of(first).outcome == "lost"
    eventually(last.ready, what="the rest of the chain ends")
    assert last.state == "FAILURE"
    assert not lives(pids[0])
    with subprocess.Popen(["sleep", "90"]) as overlooked:
        mark = mark_of(lock_path(app.settings.state_dir, publisher_id(SLOT, "control")), first.id)
        resource.prlimit(overlooked.pid, resource.RLIMIT_RTTIME, (mark, mark))
        assert trial.delay(slot=SLOT).get(timeout=WITHIN_S)["success"], "the lane is started again"
        assert overlooked.wait(WITHIN_S) == -signal.SIGKILL
    assert site.worker_pid(SLOT) != lane


def test_a_killed_worker_takes_all_its_processes_with_it(site: LiveSite, worker: Any) -> None:
    task, pids = started(site)
    family = [process.pid for process in psutil.Process(worker.pid).children(recursive=True)]
    worker.kill()
    worker.wait(WITHIN_S)
    stray = pids[1]  # it left the group and its session, so nothing tells it to end but the next worker's lock
    all_gone([pid for pid in family if pid != stray])
    queued = trial.delay(slot=SLOT)
    site.start_worker(SLOT, "worker-after", SMURFQ_WORKER_LOCK_WAIT_S="1")
    with pytest.raises(OperationLostError):
        task.get(timeout=WITHIN_S)
    assert not lives(stray), "the new worker ends what the old one's operation has left"
    assert queued.get(timeout=WITHIN_S)["success"]
    site.stop(site.processes["worker-after"])


def test_sigterm_ends_the_running_operation_in_good_order_and_leaves_the_queue(site: LiveSite) -> None:
    process = site.start_worker(SLOT)
    task, pids = started(site)
    queued = trial.delay(slot=SLOT)
    assert site.stop(process) == 0
    with pytest.raises(OperationAbortedError, match="being stopped"):
        task.get(timeout=WITHIN_S)
    assert "cleaned up" in record_of(task).log
    all_gone(pids)
    assert queued.state == "PENDING"
    again = site.start_worker(SLOT)
    assert queued.get(timeout=WITHIN_S)["success"]
    site.stop(again)


def test_a_remote_command_to_stop_aborts_what_runs(site: LiveSite, worker: Any) -> None:
    task, pids = started(site)
    app.control.shutdown(destination=[worker_name(SLOT, "control")])
    with pytest.raises(OperationAbortedError, match="being stopped"):
        task.get(timeout=WITHIN_S)
    all_gone(pids)
    assert trial.delay(slot=SLOT).get(timeout=WITHIN_S)["success"], "the lane is started again"


def test_sigquit_ends_the_running_operation_at_once_with_a_final_state(site: LiveSite) -> None:
    process = site.start_worker(SLOT)
    last = chain(run.si(slot=SLOT, script=site.script("long.py", LONG)), trial.si(slot=SLOT)).apply_async()
    first = last.parent
    pids = [int(pid) for pid in eventually(lambda: record_of(first).log, what="it runs").split()]
    site.stop(process, signal.SIGQUIT)
    eventually(first.ready, what="it ends")
    eventually(last.ready, what="the rest of the chain ends")
    assert (first.state, last.state) == ("FAILURE", "FAILURE")
    with pytest.raises(OperationAbortedError, match="stopped at once"):
        first.get()
    assert record_of(first).outcome == "aborted"
    all_gone(pids[:1])


def test_a_worker_that_is_stopped_while_redis_is_away_ends_in_time(site: LiveSite) -> None:
    """Nothing is left running. How it ended is kept for Redis; what came to no end is found lost."""
    other = "crate1slot4"
    workers = {slot: site.start_worker(slot, wait=False) for slot in (SLOT, other)}
    for slot in workers:
        site.await_worker(slot)
    tasks, pids = zip(*[started(site, slot) for slot in workers], strict=True)
    families = [p.pid for worker in workers.values() for p in psutil.Process(worker.pid).children(recursive=True)]
    site.valkey.stop()
    try:
        workers[SLOT].send_signal(signal.SIGTERM)
        workers[other].send_signal(signal.SIGQUIT)
        codes = {worker.wait(STOP_WITHIN_S) for worker in workers.values()}
        assert codes == {WITHOUT_REDIS_EXIT}
        all_gone([*families, *pids[0], *pids[1]])
    finally:
        site.valkey.start()
    for slot, task, outcome, error, said in (
        (SLOT, tasks[0], "aborted", OperationAbortedError, "has ended"),
        (other, tasks[1], "lost", OperationLostError, "will be lost"),
    ):
        assert f"{task.id} {said}" in site.log(f"worker-{slot}")
        again = site.start_worker(slot)
        with pytest.raises(error):
            task.get(timeout=WITHIN_S)
        assert record_of(task).outcome == outcome
        site.stop(again)
    assert "cleaned up" in record_of(tasks[0]).log, "it was asked before it was killed"


def test_an_outcome_during_an_outage_of_redis_survives_its_worker(site: LiveSite) -> None:
    worker = site.start_worker(SLOT)
    gate = site.gate("ends", "print('the value', flush=True)")
    steps = chain(run.si(slot=SLOT, script=gate.script), trial.si(slot=SLOT)).apply_async()
    task = steps.parent
    eventually(lambda: "waits" in record_of(task).log, what="it runs")
    family = [worker.pid, *(p.pid for p in psutil.Process(worker.pid).children(recursive=True))]
    site.valkey.stop()
    try:
        gate.open()
        kept = app.settings.state_dir / "ends" / f"{task.id}.json"
        eventually(kept.exists, what="its end is kept")
        worker.kill()
        worker.wait()
        all_gone(family)
    finally:
        site.valkey.start()
    again = site.start_worker(SLOT)
    assert task.get(timeout=WITHIN_S)["outcome"] == "succeeded"
    record = record_of(task)
    assert record.log.split("\n")[:2] == ["waits", "the value"]
    assert (record.success, record.complete) == (True, False)
    assert not kept.exists()
    with pytest.raises(OperationLostError, match="never queued"):
        steps.get(timeout=WITHIN_S)
    assert trial.delay(slot=SLOT).get(timeout=WITHIN_S)["success"]
    assert site.stop(again) == 0


def test_a_second_worker_stands_by_and_takes_over(site: LiveSite, worker: Any) -> None:
    second = site.start_worker(SLOT, "worker-second", wait=False)
    eventually(lambda: "standing by" in site.log("worker-second"))
    first_pid = site.worker_pid(SLOT)
    assert trial.delay(slot=SLOT).get(timeout=WITHIN_S)["worker"]["pid"] in _descendants(worker.pid)
    worker.kill()
    worker.wait(WITHIN_S)
    eventually(lambda: site.worker_pid(SLOT) not in (0, first_pid), what="the second takes over")
    assert trial.delay(slot=SLOT).get(timeout=WITHIN_S)["success"]
    site.stop(second)


def _descendants(pid: int) -> set[int]:
    return {process.pid for process in psutil.Process(pid).children(recursive=True)}


def test_a_hold_survives_the_worker(site: LiveSite) -> None:
    from smurfq.store.holds import Hold

    app.holds.put(Hold(SLOT, "tester", "", time.time()))
    process = site.start_worker(SLOT)
    task = trial.delay(slot=SLOT)
    eventually(lambda: app.control_worker(SLOT, "apply_hold") == {"ok": "held"}, what="it listens, and holds")
    assert task.state == "PENDING"
    app.holds.release(SLOT, "tester")
    assert task.get(timeout=WITHIN_S)["success"]
    site.stop(process)


def test_a_bridge_that_is_away_is_reported_in_the_record(site: LiveSite, worker: Any) -> None:
    bridge = site.processes["bridge"]
    bridge.kill()
    bridge.wait(WITHIN_S)
    assert trial.delay(slot=SLOT).get(timeout=WITHIN_S)["complete"] is False
    site.start_bridge()
    eventually(lambda: trial.delay(slot=SLOT).get(timeout=WITHIN_S)["complete"])


def test_a_bridge_killed_meanwhile_is_reported_in_the_record(site: LiveSite, worker: Any) -> None:
    """What it had received and not yet written is gone, and no later message shows by its number that it is."""
    gate = site.gate("meanwhile")
    task = run.delay(slot=SLOT, script=gate.script)
    eventually(lambda: record_of(task).log, what="it runs")
    bridge = site.processes["bridge"]
    bridge.kill()
    bridge.wait(WITHIN_S)
    site.start_bridge()
    eventually(lambda: app.store.hget(BRIDGE_KEY, "pid") == str(site.processes["bridge"].pid), what="it lives")
    gate.open()
    assert task.get(timeout=WITHIN_S)["complete"] is False
    assert trial.delay(slot=SLOT).get(timeout=WITHIN_S)["complete"]


def test_a_task_whose_message_was_removed_ends_as_aborted(site: LiveSite) -> None:
    task = trial.delay(slot="crate1slot4")  # nobody serves it
    app.store.delete(*[w.key for w in app.waiting.waiting("crate1slot4")])
    app.store.hdel(f"smurfq:record:{task.id}", "_message")  # as one that was sent without smurfq
    app.store.zadd("smurfq:waiting", {task.id: time.time() - 1000})
    Reaper(app).sweep()  # or the bridge has done it by now
    with pytest.raises(OperationAbortedError, match="its message was removed from the queue"):
        task.get(timeout=WITHIN_S)
    assert record_of(task).outcome == "aborted"


def test_redis_away_for_a_while_costs_nothing(site: LiveSite, worker: Any) -> None:
    """Stopped and started with its append-only file, while an operation runs and ends."""
    script = site.script(
        "short.py", "import time\nfor i in range(30):\n    print(i, flush=True)\n    time.sleep(0.1)\n"
    )
    task = run.delay(slot=SLOT, script=script)
    eventually(lambda: record_of(task).log, what="it runs")
    queued = trial.delay(slot=SLOT)
    site.valkey.restart(away_s=6.0)
    record = task.get(timeout=WITHIN_S)
    assert record["outcome"] == "succeeded"
    assert record["log"].split() == [str(i) for i in range(30)]
    assert queued.get(timeout=WITHIN_S)["success"]


def test_one_worker_may_serve_several_slots(site: LiveSite, tmp_path: Path) -> None:
    """A lane that is killed is started again while those of the other slots go on; nothing is left of any."""
    process = site.start_worker(SLOT, "worker-both", wait=False, slots=[SLOT, "crate1slot4"], TMPDIR=str(tmp_path))
    site.await_worker(SLOT, "worker-both")
    site.await_worker("crate1slot4", "worker-both")
    gate = site.gate("wait")
    other = run.delay(slot="crate1slot4", script=gate.script)
    lane = site.worker_pid(SLOT)
    os.kill(lane, signal.SIGKILL)
    assert trial.delay(slot=SLOT).get(timeout=WITHIN_S)["slot"] == SLOT
    assert site.worker_pid(SLOT) != lane
    gate.open()
    assert other.get(timeout=WITHIN_S)["success"]
    assert site.stop(process) == 0
    assert list(tmp_path.iterdir()) == []
