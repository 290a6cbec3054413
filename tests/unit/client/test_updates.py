"""The updates that a follower receives for each event."""

from __future__ import annotations

import json
from typing import Any

import pytest

from smurfq.client import updates
from smurfq.core import session
from smurfq.core.session import Outcome, SessionRecord

EVENTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "message": (session.message("hello", 5.0), {"text": "hello"}),
    "data": (session.data_set({"a": 1}, 5.0), {"values": {"a": 1}, "removed": []}),
    "data removed": (session.data_removed(["a"], 5.0), {"values": {}, "removed": ["a"]}),
    "log": (session.log_text("out\n", 5.0), {"text": "out\n"}),
    "file": (session.file_registered({"path": "/x"}, 5.0), {"file": {"path": "/x"}}),
    "stage": (session.stage("noise", 5.0), {"name": "noise"}),
    "header": (session.header(5.0, degraded=True), {"status": "", "fields": {"degraded": True}}),
    "status": (session.header(5.0, status="running"), {"status": "running", "fields": {"status": "running"}}),
}


@pytest.mark.parametrize("name", EVENTS)
def test_each_event_is_an_update_that_can_be_sent(name: str) -> None:
    event, expected = EVENTS[name]
    (update,) = updates.translate(event)
    sent = json.loads(json.dumps(update.to_dict()))
    kind = {"header": "status"}.get(event["k"], event["k"])
    assert sent == {"kind": kind, "time": 5.0, **expected}


def test_the_end_is_no_update_of_its_own_but_ends_the_run() -> None:
    event = session.ended(5.0, Outcome.FAILED, {"type": "X", "message": "m"})
    assert list(updates.translate(event)) == []
    assert updates.ends(event)
    assert not updates.ends(session.header(5.0, status="stopping"))
    assert not updates.ends(session.message("done", 5.0))


def test_a_kind_of_a_later_version_is_passed_over() -> None:
    assert list(updates.translate({"k": "hologram", "t": 1.0})) == []


def test_done_carries_the_record_as_everywhere_else() -> None:
    record = SessionRecord("an-id", op_name="test", status="done", success=True, outcome="succeeded")
    assert updates.DoneUpdate(1.0, record).to_dict() == {"kind": "done", "time": 1.0, "record": record.to_dict()}
