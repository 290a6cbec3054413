"""A worker ends in bounded time when it is told to while Redis is away, wherever the signal finds it."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import Any

import psutil
import pytest

from smurfq.app import app
from smurfq.tasks import run
from smurfq.worker.shutdown import PATIENCE_S, WITHOUT_REDIS_EXIT
from tests.site.eventually import eventually
from tests.site.live import LiveSite
from tests.site.process_group import STOP_WITHIN_S, pause

SLOT = "crate1slot3"
# The control lane's log: Celery calls ``emit`` in the main thread, with the lock of the log held.
LOG = """
import logging, os, signal, sys, time
from celery.worker import state
from smurfq import worker_boot
from smurfq.app import app

class Log(logging.StreamHandler):
    def emit(self, record):
        super().emit(record)
        if "Connection to broker lost" in record.getMessage() and app.worker_context.lane == "control":
            os.kill(os.getppid(), signal.{number})
            while {waits}:
                time.sleep(0.01)

logging.basicConfig(level="INFO", handlers=[Log()])
worker_boot.main()
"""
# Told to stop when it has its lease, and before Celery has handlers of signals.
START = """
import os, signal, time
from celery.signals import celeryd_init
from redis.exceptions import ConnectionError
from smurfq import worker_boot
from smurfq.app import app

@celeryd_init.connect
def tell(**_kwargs):
    if app.worker_context.lane == "control":
        print("has its lease", flush=True)
        try:
            while app.store.ping():
                time.sleep(0.01)
        except ConnectionError:
            os.kill(os.getppid(), signal.SIGTERM)
        while not app.worker_context.told_to_stop:
            time.sleep(0.01)

worker_boot.main()
"""
PID = "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(300)\n"
HANDLED = "state.should_stop is None and state.should_terminate is None"


def ends(site: LiveSite, worker: Any) -> None:
    """Redis goes away, and then the worker with all its processes."""
    family = [worker, *psutil.Process(worker.pid).children(recursive=True)]
    site.valkey.stop()
    try:
        assert worker.wait(STOP_WITHIN_S) == WITHOUT_REDIS_EXIT
        eventually(lambda: not any(p.is_running() for p in family[1:]), what="none of its processes is left")
    finally:
        worker.kill()
        site.valkey.start()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
@pytest.mark.parametrize(("waits", "is_logged"), [(HANDLED, True), ("True", False)], ids=["while_it_logs", "stuck_log"])
def test_a_worker_that_holds_the_lock_of_its_log_ends(
    site: LiveSite, number: signal.Signals, waits: str, is_logged: bool
) -> None:
    """It says what becomes of its run, unless the log is stuck for ever."""
    worker = site.start_worker(SLOT, program=["-c", LOG.format(number=number.name, waits=waits)])
    task = run.delay(slot=SLOT, script=site.gate("never").script)
    eventually(lambda: app.records.read(task.id).log, what="it runs")
    ends(site, worker)
    assert (f"ends without Redis: {task.id}" in site.log(f"worker-{SLOT}")) == is_logged


def test_a_worker_waits_until_its_pool_child_has_kept_the_outcome(site: LiveSite) -> None:
    """Also when the operation's processes are gone: its card is yet to be made safe."""
    worker = site.start_worker(SLOT)
    task = run.delay(slot=SLOT, script=site.script("pid.py", PID))
    operation = int(eventually(lambda: app.records.read(task.id).log, what="it runs"))
    pool_child = psutil.Process(operation).parent()
    assert pool_child is not None
    pause(pool_child.pid)
    site.valkey.stop()
    try:
        os.kill(operation, signal.SIGKILL)
        worker.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            worker.wait(2 * PATIENCE_S)
        pool_child.resume()
        assert worker.wait(STOP_WITHIN_S) == WITHOUT_REDIS_EXIT
    finally:
        worker.kill()
        site.valkey.start()
    assert f"ends without Redis: {task.id} has ended" in site.log(f"worker-{SLOT}")


def test_a_worker_that_is_stopped_before_celery_handles_signals_ends(site: LiveSite) -> None:
    worker = site.start_worker(SLOT, wait=False, program=["-c", START])
    eventually(lambda: "has its lease" in site.log(f"worker-{SLOT}"))
    ends(site, worker)
