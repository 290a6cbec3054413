"""Receives the requests to a running operation in a thread of its own, and renews the worker's lease."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from celery.utils.log import get_logger

from smurfq.pool_child.end_request import AbortRequest, Ask, EndRequest, StopRequest
from smurfq.store import best_effort
from smurfq.store.control_requests import ControlRequests, Request

logger = get_logger(__name__)

_PAUSE_S = 0.5
_PAUSE_AFTER_A_FAULT_S = 3.0


class ControlListener:
    """The listener of one operation.

    ``every_second`` is called about once a second: it renews the lease and looks for emergency operations.
    """

    def __init__(
        self,
        task_id: str,
        requests: ControlRequests,
        ask: Ask,
        every_second: Callable[[Ask], None],
        is_process: bool,
    ) -> None:
        self._task_id = task_id
        self._requests = requests
        self._ask = ask
        self._every_second = every_second
        self._is_process = is_process
        self._closing = threading.Event()
        self._next_second = 0.0
        self._received: set[tuple[str, float]] = set()
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """End the thread, and forget the requests to this operation."""
        if self._closing.is_set():
            return
        self._closing.set()
        with best_effort("the listener is not woken, and ends by itself"):
            self._requests.ask(self._task_id, Request("closed"))
        self._thread.join()
        with best_effort(f"the requests to {self._task_id} are not deleted, and expire"):
            self._requests.forget(self._task_id)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                with best_effort(f"{self._task_id} receives no requests"):
                    self._listen()
                self._closing.wait(_PAUSE_S)
            except Exception:  # without a listener nobody can abort the operation, and its worker loses the lease
                logger.exception("cannot receive the requests to %s; trying again", self._task_id)
                self._closing.wait(_PAUSE_AFTER_A_FAULT_S)

    def _listen(self) -> None:
        for request in self._requests.subscribe(self._task_id):
            if self._closing.is_set():
                return
            self._tick()
            if request is not None and (request.verb, request.time) not in self._received:
                self._received.add((request.verb, request.time))
                if (end := end_request(request, is_process=self._is_process)) is not None:
                    self._ask(end)

    def _tick(self) -> None:
        now = time.monotonic()
        if now >= self._next_second:
            self._next_second = now + 1.0
            self._every_second(self._ask)


def end_request(request: Request, *, is_process: bool) -> EndRequest | None:
    """Translate a request for the supervisor; None if it asks for no end.

    A stop of anything but a process is an abort.
    """
    if request.verb == "stop" and is_process:
        return StopRequest(request.by, request.reason)
    if request.verb not in ("abort", "stop"):
        return None
    return AbortRequest(
        by=request.by or "somebody",
        reason=request.reason or f"{request.verb} asked for",
        grace_s=request.grace_s,
        delay_s=request.delay_s,
    )
