"""The bridge knows every running task, for any number of tasks."""

from __future__ import annotations

import time
from dataclasses import asdict

from smurfq.bridge.attribution import TASKS_KEPT, Tasks
from smurfq.core import keys
from smurfq.core.jsonsafe import dumps
from smurfq.core.messages import Message
from smurfq.store.connection import Client
from smurfq.store.fence import Fence, Running


def begin(client: Client, publisher: str, task_id: str) -> Running:
    running = Running(task_id, "run", publisher, publisher, "host", "lease", time.time())
    client.set(keys.running(publisher), dumps(asdict(running)))
    return running


def owner_of(tasks: Tasks, running: Running) -> str | None:
    now = time.time()
    message = Message(running.host, running.publisher, "a script", now, 1, "session_log", "hello")
    task = tasks.owner(message, now, running, now)
    return task.task_id if task is not None else None


def test_each_of_more_slots_than_are_kept_has_its_task(valkey: Client) -> None:
    publishers = [f"crate{crate}slot{slot}" for crate in range(1, 101) for slot in range(2, 8)]
    fence = Fence(valkey, 3600)
    for publisher in publishers:
        assert fence.finished(begin(valkey, publisher, f"before-{publisher}"))
        begin(valkey, publisher, f"task-{publisher}")
    assert len(publishers) > TASKS_KEPT
    tasks = Tasks(valkey)
    found = tasks.look_up(publishers)
    assert [owner_of(tasks, found[publisher]) for publisher in publishers] == [f"task-{name}" for name in publishers]


def test_one_that_runs_for_long_is_known_after_many_others(valkey: Client) -> None:
    tasks = Tasks(valkey)
    long = begin(valkey, "crate1slot2", "long")
    tasks.look_up(["crate1slot2"])
    for number in range(TASKS_KEPT - 1):
        begin(valkey, "crate1slot3", f"other-{number}")
        tasks.look_up(["crate1slot3"])
    begin(valkey, "crate1slot3", "newest")
    tasks.look_up(["crate1slot2", "crate1slot3"])
    assert owner_of(tasks, long) == "long"
