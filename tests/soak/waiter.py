"""Somebody who waits for outcomes: ``python -m tests.soak.waiter FILE``.

Lines ``way task-id [task-id…]`` come on stdin; what was told goes to the file, a line ``way task-id state`` each.
``get`` is Celery's ``.get()``, ``wait`` smurfq's client, ``group`` the ``.get()`` of a group of results, told under
the id of its first. The end of stdin ends it, at once.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path

from celery.result import AsyncResult, GroupResult

from smurfq.app import app
from smurfq.client import Run

_STATES = {True: "SUCCESS", False: "FAILURE"}


def get(task_ids: list[str]) -> str:
    """What ``AsyncResult.get`` tells."""
    result = AsyncResult(task_ids[0], app=app)
    result.get(propagate=False)
    return str(result.state)


def wait(task_ids: list[str]) -> str:
    """What smurfq's client tells."""
    return _STATES[bool(Run(task_ids[0]).wait().success)]


def group(task_ids: list[str]) -> str:
    """What ``GroupResult.get`` tells, of the first member."""
    result = GroupResult("waited-for", [AsyncResult(task_id, app=app) for task_id in task_ids], app=app)
    result.get(propagate=False)
    return str(result.results[0].state)


WAYS: dict[str, Callable[[list[str]], str]] = {"get": get, "wait": wait, "group": group}


class Waiter(threading.Thread):
    """Waits for one after the other, in one way."""

    def __init__(self, way: str, told: Path) -> None:
        super().__init__(name=way, daemon=True)
        self._way = way
        self._told = told
        self.asked: queue.SimpleQueue[list[str]] = queue.SimpleQueue()

    def run(self) -> None:
        """Wait for what was asked."""
        while True:
            task_ids = self.asked.get()
            try:
                said = WAYS[self._way](task_ids)
            except Exception as error:  # noqa: BLE001 - whatever it is, somebody who waits would see it
                traceback.print_exc()
                said = f"{type(error).__name__}:{error}".replace(" ", "_").replace("\n", "_")
            with self._told.open("a") as told:
                told.write(f"{self._way} {task_ids[0]} {said}\n")


def main() -> None:
    """Wait for what stdin says, until it ends."""
    assert app.conf.result_backend  # read here: Celery's first look at its settings is not for several threads at once
    waiters = {way: Waiter(way, Path(sys.argv[1])) for way in WAYS}
    for waiter in waiters.values():
        waiter.start()
    for line in sys.stdin:
        way, *task_ids = line.split()
        waiters[way].asked.put(task_ids)
    os._exit(0)


if __name__ == "__main__":
    main()
