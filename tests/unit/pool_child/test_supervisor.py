"""A supervisor and a real process: it does what the termination decides, and leaves no process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from smurfq.config import load
from smurfq.core.process_id import ProcessId
from smurfq.core.session import Event
from smurfq.operation_process import process
from smurfq.operation_process.session import Session
from smurfq.pool_child.abort import Stage, Why
from smurfq.pool_child.end_request import AbortRequest, Ask, EndRequest, StopRequest
from smurfq.pool_child.ending import Ending
from smurfq.pool_child.output import Output
from smurfq.pool_child.supervisor import Supervisor

READY = "ready"
SLOT = "crate1slot2"


def supervise(
    body: Callable[[Session], Any],
    *,
    when_ready: EndRequest | None = None,
    time_limit_s: float | None = 60.0,
    abort_grace_s: float = 0.0,
    once: Mapping[int, Callable[[Ask], None]] | None = None,
) -> tuple[Ending, list[Event]]:
    """Run a body as an operation; ``when_ready`` is asked when its record has the message READY."""
    recorded: list[Event] = []

    def add(event: Event) -> None:
        recorded.append(event)
        if when_ready is not None and event.get("text") == READY:
            supervisor.ask(when_ready)

    output = Output(False, Path(), recorded.append, lambda line: None)
    spare = process.fork({"test": body}, load({}), lambda: None)
    supervisor = Supervisor(
        spare, output, add, time_limit_s=time_limit_s, abort_grace_s=abort_grace_s, kill_grace_s=60.0, once=once
    )
    job = {"session_id": "an-id", "op_name": "test", "slot": SLOT, "publisher": SLOT, "params": {}, "environment": {}}
    try:
        return supervisor.run(job, [output.write_end]), recorded
    finally:
        supervisor.close()


def stages(recorded: list[Event]) -> list[str]:
    return [event["name"] for event in recorded if event["k"] == "stage"]


def wait_for_stop(session: Session) -> None:
    """End in good order when asked to, as a process does."""
    session.add_message(READY)
    assert session.wait(60.0)


def go_on(session: Session) -> None:
    """Never look whether an abort was asked for."""
    session.add_message(READY)
    while True:
        time.sleep(60.0)


def test_a_process_that_is_stopped_ends_in_good_order() -> None:
    ending, recorded = supervise(wait_for_stop, when_ready=StopRequest("tester", "enough"))
    assert ending.result == {"k": "result", "ok": True}
    assert (ending.stopped, ending.stage, ending.plan, ending.died) == (True, Stage.NONE, None, False)
    assert "stop asked for by tester: enough" in [event.get("text") for event in recorded]


def test_an_operation_that_does_not_end_within_its_graces_is_killed() -> None:
    ending, recorded = supervise(go_on, when_ready=AbortRequest("tester", "enough", grace_s=0.0))
    assert (ending.result, ending.exit_code, ending.stage) == (None, -signal.SIGKILL, Stage.KILLED)
    assert ending.died
    assert stages(recorded) == ["abort: asked", "abort: killed"]


def test_an_operation_ends_at_its_next_safe_point_after_its_time_limit() -> None:
    ending, recorded = supervise(lambda session: session.wait(60.0), time_limit_s=0.0, abort_grace_s=60.0)
    assert ending.plan is not None
    assert (ending.plan.why, ending.stage) == (Why.TIME_LIMIT, Stage.ASKED)
    assert ending.result is not None
    assert ending.result["type"] == "OperationAbortedError"
    assert stages(recorded) == ["abort: asked"]


def test_a_descriptor_that_becomes_readable_is_reported_once() -> None:
    descriptor = os.eventfd(1)
    calls: list[Ask] = []

    def stop(ask: Ask) -> None:
        calls.append(ask)
        ask(StopRequest())

    try:
        ending, _ = supervise(wait_for_stop, once={descriptor: stop})
    finally:
        os.close(descriptor)
    assert ending.stopped
    assert len(calls) == 1


def test_processes_that_the_operation_leaves_are_ended() -> None:
    def leave(session: Session) -> None:
        session.add_message(subprocess.Popen(["sleep", "60"]).pid)

    ending, recorded = supervise(leave)
    (pid,) = [int(event["text"]) for event in recorded if event["k"] == "message"]
    assert ending.result == {"k": "result", "ok": True}
    left = ProcessId.of(pid)
    assert left is None or not left.alive


def test_an_operation_that_dies_has_no_result_but_an_exit_code() -> None:
    ending, _ = supervise(lambda session: os._exit(7))
    assert (ending.result, ending.exit_code, ending.stage, ending.oom) == (None, 7, Stage.NONE, False)
    assert ending.died
