"""`make_safe` runs in a process of its own: its findings, or why it failed. The bodies are forked for real."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from smurfq.config import load
from smurfq.core.session import SessionHeader
from smurfq.operation_process import process
from smurfq.operation_process.process import Body
from smurfq.operation_process.session import Session
from smurfq.pool_child.job import Job
from smurfq.pool_child.make_safe_process import run_make_safe
from smurfq.store.fence import Running

SLOT = "crate1slot2"
RUNNING = Running("an-id", "take_iv", SLOT, SLOT, "a-host", "a token", 0.0)
JOB = Job("an-id", "take_iv", SLOT, SLOT, {"band": 3}, {"A_VARIABLE": "set"}, RUNNING, SessionHeader("an-id"))


def findings(body: Body, params: dict[str, Any] | None = None) -> dict[str, Any]:
    return run_make_safe(JOB, lambda: process.fork({"make_safe": body}, load({}), lambda: None), params or {})


def failed(why: str) -> dict[str, str]:
    """What is reported of a `make_safe` that failed."""
    return {"error": why, "text": f"unknown, because make_safe failed: {why}"}


def test_the_findings_are_the_data_of_its_session() -> None:
    def body(session: Session, policy: str) -> None:
        session.add_message("looks at the card")
        session.data.update({"text": "all off", "policy": policy, "variable": os.environ["A_VARIABLE"]})

    assert findings(body, {"policy": "off"}) == {"text": "all off", "policy": "off", "variable": "set"}


def test_a_failure_is_reported_beside_what_was_found() -> None:
    def body(session: Session) -> None:
        session.data["left_on"] = "a stream"
        raise ValueError("no answer")

    assert findings(body) == {"left_on": "a stream", **failed("no answer")}


def test_a_process_that_dies_is_reported() -> None:
    assert findings(lambda session: os._exit(7)) == failed("ended with exit code 7 before it gave its result")


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Let this process open no more files."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_a_process_that_cannot_be_started_is_reported() -> None:
    with no_descriptor_left():
        found = findings(lambda session: None)
    assert found == failed("its process could not be started: [Errno 24] Too many open files")
